"""Tools: what they are (`Toolset`), how calls run in a sandbox (`ToolExecutor`), and which a task has (`Toolbox`)."""

from mentor.tools.executor import ToolExecutor, error_text
from mentor.tools.toolbox import Toolbox
from mentor.tools.toolsets import Toolset, build_toolset

__all__ = ["ToolExecutor", "Toolbox", "Toolset", "build_toolset", "error_text"]
