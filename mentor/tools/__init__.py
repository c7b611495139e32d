"""Tools: what they are (`Toolset`) and how calls run in a sandbox (`ToolExecutor`)."""

from mentor.tools.executor import ToolExecutor, error_text
from mentor.tools.toolsets import Toolset, build_toolset

__all__ = ["ToolExecutor", "Toolset", "build_toolset", "error_text"]
