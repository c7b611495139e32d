"""The toolset and the executor that the `tools` group describes, for the stages that call tools."""

from __future__ import annotations

from mentor.config import ToolsConfig
from mentor.tools import ToolExecutor, Toolset, build_toolset


def configured_toolset(tools: ToolsConfig) -> Toolset:
    """Raises ConfigError or InputError for a toolset that cannot be had or run."""
    return build_toolset(tools.name, tools.path, tools.engine, tools.trusted)


def configured_executor(toolset: Toolset, tools: ToolsConfig) -> ToolExecutor:
    """Not open yet. Raises ConfigError for limits that are not accepted."""
    return ToolExecutor(
        toolset, tools.timeout_s, tools.memory_mib, tools.workers, tools.max_output_chars, tools.isolation_floor
    )
