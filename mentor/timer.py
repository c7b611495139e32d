"""Seconds of each phase of a training step and of its parts, and the phase a rank is in, for the watchdog."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from time import perf_counter

from mentor import progress

_running: list[tuple[Timer, str]] = []  # the phases that this process is in, the inner ones last


class Timer:
    """`with timer("rollout"):` adds the block's seconds to `seconds["rollout"]`; `timed_part` adds those of parts."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = defaultdict(float)

    @contextmanager
    def __call__(self, phase: str) -> Iterator[None]:
        began = perf_counter()
        _running.append((self, phase))
        try:
            with progress.phase(phase):
                yield
        finally:
            _running.pop()
        self.seconds[phase] += perf_counter() - began


@contextmanager
def timed_part(name: str) -> Iterator[None]:
    """Add the block's seconds to `seconds["<phase>/<name>"]` of the timer whose phase runs; outside of one, nothing."""
    began = perf_counter()
    yield
    if _running:
        timer, phase = _running[-1]
        timer.seconds[f"{phase}/{name}"] += perf_counter() - began
