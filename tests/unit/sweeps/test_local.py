"""Points on this machine: processes, and how cores and GPUs are divided among them."""

import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from mentor.config import Config, ModelConfig, ScaledTrainer, SftStage
from mentor.sweeps.job import PointJob, PointResult
from mentor.sweeps.local import Running, _gpus, _outcome, run_points, share_gpus, share_threads
from mentor.sweeps.manifest import read_manifest
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


def test_points_run_at_once_in_processes_that_write_their_own_logs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    sft = Config(stage=SftStage("sft"), model=ModelConfig("tiny"))  # there is no rollout to train on
    sweep = tmp_path / "sweeps" / "id"
    jobs = [PointJob(f"seed={seed}", f"hash-{seed}", sweep, tmp_path, {"seed": seed}, [sft]) for seed in (1, 2)]
    results = {job.name: result for job, result in run_points(jobs, 2)}
    assert {name: result.code for name, result in results.items()} == {"seed=1": 2, "seed=2": 2}
    for job in jobs:
        error = str(results[job.name].error)
        assert "run `mentor stage=rollout` first" in error
        assert (job.folder / "output.log").read_text() == f"mentor: {error}\n"
        assert read_manifest(sweep)[job.hash].error == error


def test_a_process_that_was_killed_left_no_result(tmp_path: Path):
    job = PointJob("seed=1", "0123", tmp_path / "sweeps" / "id", tmp_path, {}, [])
    killed = subprocess.Popen([sys.executable, "-c", "import os; os.kill(os.getpid(), 9)"])
    killed.wait()
    result = _outcome(Running(job, killed, tmp_path / "no.json", 0))
    assert result == PointResult(1, error="its process was ended by SIGKILL")
    assert read_manifest(job.sweep_folder)["0123"].status == "failed"


def test_the_gpus_of_a_process_are_those_it_is_given(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "3,5")
    assert _gpus() == ["3", "5"]
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
    assert _gpus() == []
