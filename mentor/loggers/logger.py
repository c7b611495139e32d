"""One logger per stage: sends the same keys and values to every backend."""

from __future__ import annotations

import math
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Protocol

from mentor.config import LoggerConfig
from mentor.errors import StageError
from mentor.loggers.console import Console, Progress
from mentor.loggers.metrics_file import MetricsFile
from mentor.loggers.tracked import TrackedRun

Record = dict[str, float | None]
"""Of one step: `time` in unix seconds and every metric; None stands for a number that is not finite."""


class Backend(Protocol):
    """Somewhere metrics go."""

    def log(self, step: int, record: Record) -> None: ...

    def close(self, failed: bool) -> None: ...


class Logger:
    """Metric keys are `area/name`; steps count from 0 and never go back except by `roll_back`."""

    def __init__(
        self, console: Console, metrics_file: MetricsFile | None = None, others: Sequence[Backend] = ()
    ) -> None:
        self._console = console
        self._metrics_file = metrics_file
        self._backends: list[Backend] = [*([metrics_file] if metrics_file else []), *others]

    def log(self, step: int, metrics: Mapping[str, float]) -> None:
        """Record the metrics of one step, the same in every backend. Raises ValueError on a value that is no number."""
        record: Record = {"time": round(time.time(), 3), **{key: _number(key, value) for key, value in metrics.items()}}
        for backend in self._backends:
            backend.log(step, record)

    def message(self, text: str) -> None:
        """Show one line to the user."""
        self._console.message(text)

    @contextmanager
    def progress(self, total: int, description: str, done: int = 0) -> Iterator[Progress]:
        """Show progress: `with logger.progress(steps, "rl") as bar: bar.advance(reward=0.4)`. done: before a resume."""
        with self._console.progress(total, description, done) as bar:
            yield bar

    def roll_back(self, step: int) -> int:
        """Move the records after `step` to metrics.rolled_back.jsonl, as a resume requires; return how many.

        The others keep what they were sent: after a resume they hold two values for a step, or show the later one.
        """
        return self._metrics_file.roll_back(step) if self._metrics_file else 0

    def close(self, failed: bool = False) -> None:
        for backend in self._backends:
            backend.close(failed)


def build_logger(
    settings: LoggerConfig,
    folder: Path | None,
    name: str = "",
    group: str = "",
    config: Mapping[str, Any] | None = None,
) -> Logger:
    """Build the logger of a stage that writes into `folder`; without a folder only the console.

    name, group and config: as `TrackedRun`. Raises StageError where a backend's package is missing.
    """
    console = Console(settings.console)
    if folder is None:
        return Logger(console)
    others: list[Backend] = []
    run = TrackedRun(folder, settings.project, name, group, config or {})
    for backend in settings.backends:
        others.append(_build_backend(backend, run, settings.wandb))
    return Logger(console, MetricsFile(folder / "metrics.jsonl"), others)


def _build_backend(name: str, run: TrackedRun, wandb_mode: str) -> Backend:
    try:
        if name == "wandb":
            from mentor.loggers.wandb_backend import WandbBackend

            return WandbBackend(run, wandb_mode)
        if name == "tensorboard":
            from mentor.loggers.tensorboard_backend import TensorboardBackend

            return TensorboardBackend(run)
        if name == "trackio":
            from mentor.loggers.trackio_backend import TrackioBackend

            return TrackioBackend(run)
        from mentor.loggers.mlflow_backend import MlflowBackend

        return MlflowBackend(run)
    except ImportError as error:
        raise StageError(f"logger.backends={name} needs a package: pip install 'mentor[{name}]' ({error})") from error


def silent_logger() -> Logger:
    """Build the logger of a rank that is not the main one: it shows and writes nothing."""
    return Logger(Console(bars=False, quiet=True))


def _number(key: str, value: Any) -> float | None:
    """A plain int or float (numpy and 0-dimensional tensors included); None for NaN and the infinities."""
    if isinstance(value, bool | int):
        return int(value)
    try:
        number = float(value)
    except (TypeError, ValueError):
        raise ValueError(f"metric {key} is no number: {value!r}") from None
    return number if math.isfinite(number) else None
