"""What a sweep and its points are called, what pipelines share, and how a machine is divided among points."""

import json
import os
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from hydra import compose, initialize_config_dir

from mentor.compose import compose_stage, parse, register_schemas
from mentor.conf_dir import conf_dir
from mentor.config import Config, ScaledTrainer
from mentor.runs.points import share_gpus, share_threads
from mentor.runs.sweep import PointJob, find_shared, point_job, point_name, sweep_id, wandb_names, without_shared


@pytest.fixture
def hydra_conf(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.chdir(tmp_path)
    register_schemas()
    with initialize_config_dir(str(conf_dir()), version_base="1.3"):
        yield


def job(*overrides: str) -> PointJob:
    given = parse(overrides)
    return point_job("12345678", ",".join(overrides), {}, *compose_stage(compose("config", overrides=overrides), given))


def folders(shared) -> list[str]:
    return sorted(str(path) for path in shared.steps)


def stages(steps: list[Config]) -> list[str]:
    return [step.stage.name for step in steps]


def test_pipelines_share_what_does_not_differ(hydra_conf: None):
    jobs = [job("experiment=demo", f"reward.weights.tool={weight}") for weight in (0.1, 0.3)]
    sharing = find_shared(jobs)
    assert folders(sharing) == ["outputs/demo/pretrain-s0", "outputs/demo/rollout", "outputs/demo/sft-s0"]
    assert sharing.differing == set()
    left = without_shared(jobs[0], sharing)
    assert stages(left.steps) == ["rl", "rl", "rl", "eval", "report"] and left.shared == [
        "pretrain-s0",
        "rollout",
        "sft-s0",
    ]
    assert left.hash == jobs[0].hash != jobs[1].hash


def test_a_seed_has_its_own_base_and_all_have_one_teacher_set(hydra_conf: None):
    sharing = find_shared([job("experiment=demo", f"seed={seed}") for seed in (0, 1)])
    names = ["pretrain-s0", "pretrain-s1", "rollout", "sft-s0", "sft-s1"]
    assert folders(sharing) == [f"outputs/demo/{name}" for name in names]


def test_what_differs_and_what_is_made_from_it_is_not_shared(hydra_conf: None):
    sharing = find_shared([job("experiment=demo", f"task.size={size}") for size in (40, 80)])
    assert folders(sharing) == ["outputs/demo/pretrain-s0"] and sharing.differing == {"rollout", "sft"}


def test_another_result_in_the_run_is_left_alone(hydra_conf: None):
    jobs = [job("experiment=demo", f"reward.weights.tool={weight}") for weight in (0.1, 0.3)]
    folder = Path("outputs/demo/rollout")
    folder.mkdir(parents=True)
    stored = {"stage": {"name": "rollout"}, "upstream": {"task_file": "0123"}, "seed": 5}
    (folder / "config.yaml").write_text(json.dumps(stored))
    assert find_shared(jobs).differing == {"rollout", "sft"}


def test_single_stages_read_the_run_and_share_nothing(hydra_conf: None):
    jobs = [job("stage=sft", f"seed={seed}") for seed in (0, 1)]
    assert not find_shared(jobs).steps and without_shared(jobs[0], find_shared(jobs)) is jobs[0]


def test_a_job_survives_json(hydra_conf: None):
    point = replace(job("stage=rl", "reward=flexible", "seed=3"), overrides={"seed": 3}, shared=["pretrain-s3"])
    assert PointJob.from_json(point.to_json()) == point


def test_a_point_links_what_is_shared(tmp_path: Path, hydra_conf: None):
    point = replace(job("experiment=demo"), shared=["rollout"])
    (point.root / "rollout").mkdir(parents=True)
    point.folder.mkdir(parents=True)
    point.link_shared()
    point.link_shared()
    assert (point.folder / "rollout").resolve() == tmp_path / "outputs" / "demo" / "rollout"


def test_points_divide_cores_and_gpus(hydra_conf: None, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: range(8))
    config = job("stage=sft").steps[0]
    assert isinstance(config.trainer, ScaledTrainer)
    two = replace(config, trainer=replace(config.trainer, num_processes=2))
    assert [share_threads(config, 2), share_threads(two, 2), share_threads(config, 16)] == [4, 2, 1]
    assert share_threads(job("stage=sft", "launcher.threads=3").steps[0], 2) == 3
    monkeypatch.setenv("OMP_NUM_THREADS", "2")
    assert share_threads(config, 2) is None

    gpus = ["0", "1", "2", "3"]
    assert [share_gpus(gpus, slot, 2) for slot in (0, 1)] == [
        {"CUDA_VISIBLE_DEVICES": "0,1"}, {"CUDA_VISIBLE_DEVICES": "2,3"},
    ]  # fmt: skip
    assert share_gpus(gpus, 0, 1) == share_gpus(gpus, 0, 5) == share_gpus([], 0, 2) == {}


def test_wandb_tells_points_apart():
    assert wandb_names(Path("outputs/demo/rl-flexible-s0"), "demo") == ("rl-flexible-s0", "demo")
    point = Path("outputs/demo/sweeps/12345678/seed=1/rl-flexible-s1")
    assert wandb_names(point, "demo") == ("seed=1 rl-flexible-s1", "demo sweeps/12345678")
    assert wandb_names(Path("rl"), "demo") == ("rl", "demo")


def test_point_names_are_folder_names_and_stay_apart():
    assert point_name("reward.weights.tool=0.1,seed=0", 4) == "reward.weights.tool=0.1,seed=0"
    assert point_name("", 4) == "point-4"
    odd = [point_name(text, 0) for text in ("init=/a/b", "init=/a_b", "init=" + "x" * 200, "init=" + "x" * 201)]
    assert len(set(odd)) == 4
    assert all("/" not in name and len(name) < 140 for name in odd)


def test_sweep_id_does_not_depend_on_order():
    assert sweep_id(["stage=rl", "seed=0,1"]) == sweep_id(["seed=0,1", "stage=rl"])
    assert sweep_id(["stage=rl", "seed=0,1"]) != sweep_id(["stage=rl", "seed=0,2"])
