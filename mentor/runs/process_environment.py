"""The environment variables of a stage's processes, which libraries read when they are imported."""

from __future__ import annotations

import os
import sys
from pathlib import Path

from mentor.config import Config, PushStage, ScaledTrainer
from mentor.runs.seat import scaled_trainer

SPINS = "10000"
"""Turns for which a thread of torch waits for work before it sleeps, half a millisecond: waking one takes longer than a
small product. GOMP's own 300,000 starve others on shared cores."""


def process_environment(config: Config) -> dict[str, str]:
    """Return this process's variables with those of a process of the stage."""
    trainer = scaled_trainer(config) or ScaledTrainer()
    environment = {**os.environ, **_threads(config.launcher.threads, trainer.num_processes)}
    environment.setdefault("GOMP_SPINCOUNT", SPINS)
    environment.setdefault("TORCH_CPP_LOG_LEVEL", "ERROR")  # gloo warns of a backend it does not need
    if not sys.stderr.isatty():
        environment.setdefault("HF_HUB_DISABLE_PROGRESS_BARS", "1")  # bars of transformers and the hub fill a log
    if config.stage.name == "check" or not _names_the_hub(config):
        environment.setdefault("HF_HUB_OFFLINE", "1")  # transformers asks the hub even about local folders, and retries
    return environment


def _threads(wanted: int | None, processes: int) -> dict[str, str]:
    """Return the threads of each process: by the config, else by the user's shell, else an equal part of the cores."""
    if wanted is None and os.environ.get("OMP_NUM_THREADS"):
        return {}
    return {"OMP_NUM_THREADS": str(wanted or max(1, len(os.sched_getaffinity(0)) // processes))}


def _names_the_hub(config: Config) -> bool:
    """Return whether a model or data set of this stage is no local file, so that the hub is asked for it, or one is
    sent."""
    if isinstance(config.stage, PushStage) and not config.stage.dry_run:
        return True
    tasks = [config.task, *(benchmark.task for benchmark in config.benchmark.values())]
    paths = [config.model.path if config.model else None, *(task.path for task in tasks if task is not None)]
    return any(path is not None and not Path(path).exists() for path in paths)
