"""What a step of this project is read from."""

import json
from pathlib import Path

import pytest

from scripts.step_benchmark.steps import PHASES, Shape, overrides, read_prompts, read_row

ROW = {
    "time": 110.0,
    "time/rollout_s": 3.0,
    "time/rollout/decode_s": 2.0,
    "time/reward_s": 0.5,
    "time/sleep_s": 0.125,
    "time/logprobs_s": 0.25,
    "time/update_s": 4.0,
    "time/push_s": 0.5,
    "time/push_check_s": 0.375,
    "rollout/tokens": 70.0,
    "policy/tokens": 900.0,
}


def test_the_phases_of_a_step_add_up_to_the_time_between_two_records():
    step = read_row({"time": 100.0}, ROW)
    assert (step.sampled, step.trained, step.total) == (70, 900, 10.0)
    assert {phase: step.seconds[phase] for phase in PHASES} == {
        "rollout": 3.0,
        "reward": 0.5,
        "logprobs": 0.25,
        "update": 4.0,
        "push": 1.0,
        "rest": 1.25,
    }
    assert step.seconds["rollout/decode"] == 2.0


def test_threads_are_divided_among_processes():
    command = overrides(Shape(threads=2, processes=2, sampler="vllm"), steps=3)
    assert {"trainer.steps=4", "trainer.num_processes=2", "launcher.threads=1", "sampler=vllm"} <= set(command)


def test_prompts_are_what_stands_before_the_first_sampled_token(tmp_path: Path):
    (tmp_path / "trajectories").mkdir()
    rows = [
        {
            "task": {"question": question, "answer": ["7"]},
            "tokens": {"token_ids": [1, 2, 3, 4], "loss_mask": [0, 0, 1, 0]},
        }
        for question in ("a", "a", "b")
    ]
    (tmp_path / "trajectories" / "trajectories.jsonl").write_text("\n".join(map(json.dumps, rows)))
    found = read_prompts(tmp_path, 2)
    assert (found.questions, found.answers, found.token_ids) == (["a", "b"], ["7", "7"], [[1, 2], [1, 2]])
    with pytest.raises(SystemExit, match="the run has 2 tasks, and --prompts is 3"):
        read_prompts(tmp_path, 3)
