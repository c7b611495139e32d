"""The stages by name: one module each, imported only when the stage runs (in a child process of its own)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from importlib import import_module
from typing import Any

MODULES = {
    "rollout": "mentor.stages.rollout",
    "pretrain": "mentor.stages.pretrain",
    "sft": "mentor.stages.sft",
    "rl": "mentor.stages.rl",
    "eval": "mentor.stages.evaluate",
    "score": "mentor.stages.score",
    "report": "mentor.stages.report",
    "check": "mentor.stages.check",
}
"""`pipeline` is not here: it runs in the parent and starts the others."""


@dataclass(frozen=True)
class StageResult:
    """headline: the number a sweep compares, by name, None where a stage has none. seconds: per phase."""

    headline: tuple[str, float] | None = None
    counts: dict[str, Any] = field(default_factory=dict)
    seconds: dict[str, float] = field(default_factory=dict)


def stage_function(name: str) -> Callable[..., StageResult]:
    """`run(config, folder, logger) -> StageResult` of a stage; imports its module (and, for training, torch)."""
    function: Callable[..., StageResult] = import_module(MODULES[name]).run
    return function
