"""Seconds of each phase of a training step, and the phase a rank is in, for the watchdog that looks for stalls."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from time import perf_counter

from mentor import progress


class Timer:
    """`with timer("rollout"):` adds the block's seconds to `seconds["rollout"]`."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = defaultdict(float)

    @contextmanager
    def __call__(self, phase: str) -> Iterator[None]:
        began = perf_counter()
        with progress.phase(phase):
            yield
        self.seconds[phase] += perf_counter() - began
