"""What the pipelines of a sweep share."""

import json
from pathlib import Path

from mentor.config import Config, dump
from mentor.runs.folder import write_config
from mentor.sweeps.shared_stages import find_shared, without_shared
from tests.fixtures.points import make_job


def folders(shared) -> list[str]:
    return sorted(str(path) for path in shared.steps)


def stages(steps: list[Config]) -> list[str]:
    return [step.stage.name for step in steps]


def test_pipelines_share_what_does_not_differ(hydra_conf: None):
    jobs = [make_job("experiment=easy_success", f"reward.weights.tool={weight}") for weight in (0.1, 0.3)]
    shared = find_shared(jobs)
    assert folders(shared) == [
        "outputs/easy_success/pretrain-s0",
        "outputs/easy_success/rollout",
        "outputs/easy_success/sft-s0",
    ]
    assert shared.differing == set()
    left = without_shared(jobs[0], shared)
    assert stages(left.steps) == ["rl", "rl", "rl", "eval", "report"] and left.shared == [
        "pretrain-s0",
        "rollout",
        "sft-s0",
    ]
    assert left.hash == jobs[0].hash != jobs[1].hash


def test_points_of_one_seed_share_its_base_and_all_share_the_teacher_set(hydra_conf: None):
    weights = ("reward.weights.tool=0.1", "reward.weights.tool=0.3")
    jobs = [make_job("experiment=easy_success", f"seed={seed}", weight) for seed in (0, 1) for weight in weights]
    names = ["pretrain-s0", "pretrain-s1", "rollout", "sft-s0", "sft-s1"]
    assert folders(find_shared(jobs)) == [f"outputs/easy_success/{name}" for name in names]


def test_what_one_point_alone_has_is_made_by_it_and_keeps_no_other_waiting(hydra_conf: None):
    jobs = [make_job("experiment=rare_success", f"seed={seed}") for seed in (0, 1, 2)]
    shared = find_shared(jobs)
    assert shared.differing == set() and {job.root for job in jobs} == {Path("outputs/rare_success")}
    assert folders(shared) == ["outputs/rare_success/rollout"]
    assert stages(without_shared(jobs[0], shared).steps) == ["pretrain", "sft"] + ["rl"] * 4 + ["eval", "report"]


def test_what_one_point_alone_has_is_linked_where_the_run_holds_it(hydra_conf: None):
    jobs = [make_job("experiment=rare_success", f"seed={seed}") for seed in (0, 1)]
    base = next(step for step in jobs[1].steps if step.stage.name == "pretrain")
    folder = Path("outputs/rare_success/pretrain-s1")
    folder.mkdir(parents=True)
    write_config(folder, dump(base))
    shared = find_shared(jobs)
    assert folders(shared) == ["outputs/rare_success/pretrain-s1", "outputs/rare_success/rollout"]
    assert without_shared(jobs[1], shared).shared == ["pretrain-s1", "rollout"]


def test_what_differs_and_what_is_made_from_it_is_not_shared(hydra_conf: None):
    shared = find_shared([make_job("experiment=easy_success", f"task.size={size}") for size in (40, 80)])
    assert folders(shared) == ["outputs/easy_success/pretrain-s0"] and shared.differing == {"rollout", "sft"}


def test_another_result_in_the_run_is_left_alone(hydra_conf: None):
    jobs = [make_job("experiment=easy_success", f"reward.weights.tool={weight}") for weight in (0.1, 0.3)]
    folder = Path("outputs/easy_success/rollout")
    folder.mkdir(parents=True)
    stored = {"stage": {"name": "rollout"}, "upstream": {"task_file": "0123"}, "seed": 5}
    (folder / "config.yaml").write_text(json.dumps(stored))
    assert find_shared(jobs).differing == {"rollout", "sft"}


def test_single_stages_read_the_run_and_share_nothing(hydra_conf: None):
    jobs = [make_job("stage=sft", f"seed={seed}") for seed in (0, 1)]
    assert not find_shared(jobs).steps and without_shared(jobs[0], find_shared(jobs)) is jobs[0]
