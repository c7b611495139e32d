"""How a machine is divided among points."""

import os
from dataclasses import replace

import pytest

from mentor.config import ScaledTrainer
from mentor.sweeps.local import share_gpus, share_threads
from tests.fixtures.points import make_job


def test_points_divide_cores_and_gpus(hydra_conf: None, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: range(8))
    config = make_job("stage=sft").steps[0]
    assert isinstance(config.trainer, ScaledTrainer)
    two = replace(config, trainer=replace(config.trainer, num_processes=2))
    assert [share_threads(config, 2), share_threads(two, 2), share_threads(config, 16)] == [4, 2, 1]
    assert share_threads(make_job("stage=sft", "launcher.threads=3").steps[0], 2) == 3
    monkeypatch.setenv("OMP_NUM_THREADS", "2")
    assert share_threads(config, 2) is None

    gpus = ["0", "1", "2", "3"]
    assert [share_gpus(gpus, slot, 2) for slot in (0, 1)] == [
        {"CUDA_VISIBLE_DEVICES": "0,1"}, {"CUDA_VISIBLE_DEVICES": "2,3"},
    ]  # fmt: skip
    assert share_gpus(gpus, 0, 1) == share_gpus(gpus, 0, 5) == share_gpus([], 0, 2) == {}
