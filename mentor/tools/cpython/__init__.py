"""The engine of tools in CPython workers, sandboxed or trusted: this side of the processes."""
