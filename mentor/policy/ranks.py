"""The ranks of one stage: this process's rank, a barrier, all-gather and all-reduce.

Rollouts end at different times on different ranks. The barrier is a counter that each rank polls, so that a rank
waiting for another's tools is never inside a collective; that starts once all ranks have reached the barrier.

Ranks find each other in torch's TCPStore at MASTER_ADDR:MASTER_PORT, whichever machine they run on.
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import Any

import torch
import torch.distributed as dist

from mentor import progress
from mentor.errors import PolicyError

POLL_S = (0.005, 0.1)  # the shortest and longest time between two looks at the counter
LEAVING_S = 30.0  # for the other ranks to leave a store that one of them holds
PATIENCE = timedelta(minutes=10)  # of a collective, and for the store to answer


class Ranks:
    """The only rank; `DistributedRanks` is one of several. local_rank, local_size: among those of this machine."""

    rank, size = 0, 1
    local_rank, local_size = 0, 1

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
        """Sum a tensor over all ranks, in place."""
        return values


class DistributedRanks(Ranks):
    """store: of these ranks alone; its keys are theirs."""

    def __init__(self, rank: int, size: int, store: dist.Store, local_rank: int = 0, local_size: int = 1) -> None:
        self.rank, self.size, self.local_rank, self.local_size = rank, size, local_rank, local_size
        self._counter = dist.PrefixStore("barriers", store)
        self._barriers = 0

    def barrier(self) -> None:
        self._barriers += 1
        self._counter.add("came", 1)
        began = time.monotonic()
        with progress.phase("waiting for the other processes"):
            while self._counter.add("came", 0) < self._barriers * self.size:
                progress.beat()
                shortest, longest = POLL_S
                time.sleep(min(max(shortest, (time.monotonic() - began) / 20), longest))

    def all_gather(self, value: Any) -> list[Any]:
        self.barrier()
        values: list[Any] = [None] * self.size
        dist.all_gather_object(values, value)
        return values

    def all_reduce(self, values: torch.Tensor) -> torch.Tensor:
        dist.all_reduce(values)
        return values


@contextmanager
def join_ranks(distributed: bool) -> Iterator[Ranks]:
    """Join the ranks this process was started with. distributed: they form a process group, even where it is one."""
    if not distributed:
        yield Ranks()
        return
    names = ("RANK", "WORLD_SIZE", "LOCAL_RANK", "LOCAL_WORLD_SIZE")
    rank, size, local_rank, local_size = (int(os.environ[name]) for name in names)
    backend = "cpu:gloo"
    if torch.cuda.is_available():
        if local_size > torch.cuda.device_count():
            raise PolicyError(
                f"trainer.num_processes={local_size} needs as many GPUs, this machine has {torch.cuda.device_count()}"
            )
        torch.cuda.set_device(local_rank)
        backend = "cpu:gloo,cuda:nccl"
    opens = progress.STORE_FD in os.environ
    store = dist.PrefixStore(os.environ[progress.STORE], _open_store())
    dist.init_process_group(
        backend, store=dist.PrefixStore("group", store), rank=rank, world_size=size, timeout=PATIENCE
    )
    try:
        yield DistributedRanks(rank, size, store, local_rank, local_size)
    finally:
        if dist.is_initialized():
            dist.destroy_process_group()
    store.add("left", 1)
    deadline = time.monotonic() + LEAVING_S
    while opens and store.add("left", 0) < size and time.monotonic() < deadline:  # the store ends with this rank
        time.sleep(POLL_S[0])


def _open_store() -> dist.TCPStore:
    """Connect to the store; the rank that was given its socket opens it first."""
    socket = os.environ.pop(progress.STORE_FD, None)
    return dist.TCPStore(
        os.environ["MASTER_ADDR"],
        int(os.environ["MASTER_PORT"]),
        is_master=socket is not None,
        wait_for_workers=False,
        timeout=PATIENCE,
        master_listen_fd=None if socket is None else int(socket),
    )
