"""The processes of one stage: who this one is, a meeting point, and sums and lists over all of them.

Rollouts end at different times in different processes. They meet at a counter that each polls, so a process that waits
for another's tools is never inside a collective; collectives start once all have come.
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any

import torch
import torch.distributed as dist

from mentor import progress
from mentor.errors import PolicyError

POLL_S = 0.005


class Ranks:
    """One process alone; `Processes` is one of several."""

    rank, size = 0, 1

    @property
    def is_main(self) -> bool:
        """Whether this process writes the stage's files."""
        return self.rank == 0

    def meet(self) -> None:
        """Wait until all processes are here."""

    def gather(self, value: Any) -> list[Any]:
        """The values of all processes, in their order."""
        return [value]

    def sum(self, values: torch.Tensor) -> torch.Tensor:
        """The sum over all processes, in place; a tensor on the CPU."""
        return values


class Processes(Ranks):
    def __init__(self, rank: int, size: int, folder: Path) -> None:
        self.rank, self.size = rank, size
        self._counter = dist.FileStore(str(folder / "meetings"), size)
        self._meetings = 0

    def meet(self) -> None:
        self._meetings += 1
        self._counter.add("came", 1)
        with progress.phase("waiting for the other processes"):
            while self._counter.add("came", 0) < self._meetings * self.size:
                progress.beat()
                time.sleep(POLL_S)

    def gather(self, value: Any) -> list[Any]:
        self.meet()
        values: list[Any] = [None] * self.size
        dist.all_gather_object(values, value)
        return values

    def sum(self, values: torch.Tensor) -> torch.Tensor:
        dist.all_reduce(values)
        return values


@contextmanager
def joined(deepspeed: bool) -> Iterator[Ranks]:
    """The processes this one was started with. deepspeed: which needs a process group, also in one alone."""
    if not deepspeed:
        yield Ranks()
        return
    rank, size, folder = int(os.environ["RANK"]), int(os.environ["WORLD_SIZE"]), Path(os.environ[progress.RENDEZVOUS])
    backend = "cpu:gloo"
    if torch.cuda.is_available():
        if size > torch.cuda.device_count():
            raise PolicyError(
                f"trainer.num_processes={size} needs as many GPUs, this machine has {torch.cuda.device_count()}"
            )
        torch.cuda.set_device(int(os.environ["LOCAL_RANK"]))
        backend = "cpu:gloo,cuda:nccl"
    dist.init_process_group(
        backend, init_method=f"file://{folder / 'group'}", rank=rank, world_size=size, timeout=timedelta(minutes=10)
    )
    try:
        yield Processes(rank, size, folder)
    finally:
        if dist.is_initialized():
            dist.destroy_process_group()
