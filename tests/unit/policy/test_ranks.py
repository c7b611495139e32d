"""Ranks of threads that share a counter, and the only rank of a stage; real ranks are in test_deepspeed_engine.py."""

import threading
import time

import torch

from mentor.policy.ranks import DistributedRanks, Ranks, join_ranks
from tests.fixtures.ranks import be_the_only_rank


def test_the_only_rank_waits_for_nobody_and_gathers_its_own():
    with join_ranks(distributed=False) as ranks:
        ranks.barrier()
        assert ranks.is_main and ranks.size == 1 and ranks.all_gather("x") == ["x"]
        assert ranks.all_reduce(torch.tensor([2.0])).tolist() == [2.0]
    assert isinstance(ranks, Ranks)


def test_a_barrier_opens_when_the_last_rank_has_come():
    store = torch.distributed.HashStore()
    first, second = (DistributedRanks(rank, 2, store) for rank in (0, 1))
    assert first.is_main and not second.is_main
    passed = []

    def wait():
        first.barrier()
        passed.append(time.monotonic())

    thread = threading.Thread(target=wait)
    thread.start()
    time.sleep(0.1)
    assert not passed
    came = time.monotonic()
    second.barrier()
    thread.join(5)
    assert passed and passed[0] >= came


def test_one_rank_of_a_process_group_reduces_and_gathers(monkeypatch):
    be_the_only_rank(monkeypatch)
    with join_ranks(distributed=True) as ranks:
        assert isinstance(ranks, DistributedRanks) and torch.distributed.is_initialized()
        assert ranks.all_gather({"a": 1}) == [{"a": 1}] and ranks.all_reduce(torch.tensor([3.0])).tolist() == [3.0]
    assert not torch.distributed.is_initialized()
