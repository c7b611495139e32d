"""The engines of tools without source: called in this process, or over a connection from it."""
