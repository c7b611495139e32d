"""The stages by name: one module each, imported in the child process that runs the stage."""

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
    "chat": "mentor.stages.chat",
    "serve": "mentor.stages.serve",
    "parity": "mentor.stages.parity",
    "push": "mentor.stages.push",
}
"""`pipeline` is not here: mentor/runs/pipeline.py runs in the parent and starts the others."""


@dataclass(frozen=True)
class StageResult:
    """headline: the number a sweep compares, by name, None where a stage has none. seconds: per phase."""

    headline: tuple[str, float] | None = None
    counts: dict[str, Any] = field(default_factory=dict)
    seconds: dict[str, float] = field(default_factory=dict)


def stage_function(name: str) -> Callable[..., StageResult]:
    """Import the module of a stage (and, for training, torch) and return its `run(config, folder, logger)`."""
    function: Callable[..., StageResult] = import_module(MODULES[name]).run
    return function
