"""The engine of sandboxed tools in pydantic-monty's interpreter."""
