"""The toolbox that the `tools` group describes, for the stages that call tools."""

from __future__ import annotations

from mentor.config import ToolsConfig
from mentor.loggers import Logger
from mentor.tools import Toolbox, ToolExecutor, Toolset, build_toolset


def configured_toolbox(tools: ToolsConfig) -> Toolbox:
    """Build the toolbox, not open yet. Raises ConfigError or InputError for a toolset or limits that are refused."""

    def executor(toolset: Toolset) -> ToolExecutor:
        return ToolExecutor(
            toolset, tools.timeout_s, tools.memory_mib, tools.workers, tools.max_output_chars, tools.isolation_floor
        )

    default = None
    if tools.name != "row":
        default = build_toolset(
            tools.name, tools.path, tools.engine, tools.trusted, tools.top_k, tools.server, tools.shared
        )
    return Toolbox(default, executor, tools.engine, tools.trusted)


def say_counts(toolbox: Toolbox, logger: Logger) -> None:
    """Log in one line the calls that failed and the arguments that were read from text, if any."""
    counts = toolbox.counts
    if counts:
        logger.message("tool calls: " + ", ".join(f"{number} {kind}" for kind, number in counts.most_common()))
