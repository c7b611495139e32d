"""The ranks of one stage: this process's rank, a barrier, all-gather and all-reduce.

Rollouts end at different times on different ranks. The barrier is a counter that each rank polls, so that a rank
waiting for another's tools is never inside a collective; that starts once all ranks have reached the barrier.
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
    """The only rank; `DistributedRanks` is one of several."""

    rank, size = 0, 1

    @property
    def is_main(self) -> bool:
        """Whether this rank writes the stage's files."""
        return self.rank == 0

    def barrier(self) -> None:
        """Wait until all ranks are here."""

    def all_gather(self, value: Any) -> list[Any]:
        """Return the values of all ranks, in rank order."""
        return [value]

    def all_reduce(self, values: torch.Tensor) -> torch.Tensor:
        """Sum a tensor on the CPU over all ranks, in place."""
        return values


class DistributedRanks(Ranks):
    def __init__(self, rank: int, size: int, folder: Path) -> None:
        self.rank, self.size = rank, size
        self._counter = dist.FileStore(str(folder / "barriers"), size)
        self._barriers = 0

    def barrier(self) -> None:
        self._barriers += 1
        self._counter.add("came", 1)
        with progress.phase("waiting for the other processes"):
            while self._counter.add("came", 0) < self._barriers * self.size:
                progress.beat()
                time.sleep(POLL_S)

    def all_gather(self, value: Any) -> list[Any]:
        self.barrier()
        values: list[Any] = [None] * self.size
        dist.all_gather_object(values, value)
        return values

    def all_reduce(self, values: torch.Tensor) -> torch.Tensor:
        dist.all_reduce(values)
        return values


@contextmanager
def join_ranks(deepspeed: bool) -> Iterator[Ranks]:
    """Join the ranks this process was started with. deepspeed: it needs a process group, even of one rank."""
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
        yield DistributedRanks(rank, size, folder)
    finally:
        if dist.is_initialized():
            dist.destroy_process_group()
