"""The toolbox that the `tools` group describes, for the stages that call tools."""

from __future__ import annotations

from dataclasses import asdict
from functools import partial

from mentor.config import ToolsConfig
from mentor.loggers import Logger
from mentor.tools import Toolbox, ToolExecutor, build_toolset
from mentor.tools.engine import Limits


def configured_toolbox(tools: ToolsConfig) -> Toolbox:
    """Build the toolbox, not open yet. Raises ConfigError or InputError for a toolset or limits that are refused."""

    limits = Limits(**{key: getattr(tools, key) for key in Limits.__dataclass_fields__})
    default = None
    if tools.name != "row":
        default = build_toolset(
            tools.name,
            tools.path,
            tools.engine,
            tools.trusted,
            tools.top_k,
            tools.server,
            tools.shared,
            tools.schemas,
            limits,
        )
    return Toolbox(default, partial(ToolExecutor, **asdict(limits)), tools.engine, tools.trusted)


def say_counts(toolbox: Toolbox, logger: Logger) -> None:
    """Log in one line the calls that failed and the arguments that were read from text, if any."""
    counts = toolbox.counts
    if counts:
        logger.message("tool calls: " + ", ".join(f"{number} {kind}" for kind, number in counts.most_common()))
