"""The toolbox that the `tools` group describes, for the stages that call tools."""

from __future__ import annotations

import os
from collections.abc import Collection
from dataclasses import asdict
from functools import partial

from mentor.config import ToolsConfig
from mentor.jsonl import Report
from mentor.loggers import Logger
from mentor.tools import Toolbox, ToolExecutor, build_toolset
from mentor.tools.engine import Limits

WORKERS = (2, 16)
"""Tool calls at once where tools.workers is null: a call that waits blocks one, and each holds tools.memory_mib."""


def configured_toolbox(tools: ToolsConfig, report: Report | None = None, processes: int = 1) -> Toolbox:
    """Build the toolbox, not open yet. Raises ConfigError or InputError for a toolset or limits that are refused.

    report: is told once of every tool that fails. processes: of the stage on this machine, which share its cores.
    """
    keys = {key: getattr(tools, key) for key in Limits.__dataclass_fields__}
    limits = Limits(**{**keys, "workers": tools.workers or workers_of(len(os.sched_getaffinity(0)), processes)})
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
    return Toolbox(default, partial(ToolExecutor, **asdict(limits)), tools.engine, tools.trusted, report)


def workers_of(cores: int, processes: int) -> int:
    """Return the tool calls that one of so many processes runs at once."""
    fewest, most = WORKERS
    return min(max(fewest, cores // processes), most)


def say_counts(toolbox: Toolbox, logger: Logger, worked: Collection[str] = ()) -> dict[str, str]:
    """Log the calls that failed, the arguments that were read from text, and the tools that never worked, if any.

    worked: tools that are known to have. Returns those that never did, with how they failed.
    """
    counts = toolbox.counts.kinds
    if counts:
        logger.message("tool calls: " + ", ".join(f"{number} {kind}" for kind, number in counts.most_common()))
    never = {tool: how for tool, how in toolbox.counts.never_worked().items() if tool not in worked}
    if never:
        logger.message("tools that never worked: " + "; ".join(f"{tool} ({how})" for tool, how in never.items()))
    return never
