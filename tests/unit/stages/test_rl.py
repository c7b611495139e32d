"""The RL stage on a random student: its steps, what it stores, and how it resumes."""

import json
from dataclasses import replace

import pytest

from mentor.chat.messages import make_call
from mentor.config import (
    Config,
    ModelConfig,
    PerturbConfig,
    RewardConfig,
    RlStage,
    RlTrainer,
    SamplerConfig,
    TaskConfig,
    ToolsConfig,
)
from mentor.errors import InputError, StageError
from mentor.jsonl import read_jsonl
from mentor.policy.checkpoint import latest_checkpoint
from mentor.rewards import load_preset
from mentor.stages import rl
from mentor.stages.taught_tasks import without_answer, without_teacher
from mentor.tools import Toolset
from mentor.types import CallRecord, StopReason, ToolCall, Trajectory
from tests.fixtures.foreign_ends import OTHER, foreign_chat, foreign_lesson, teach
from tests.fixtures.policies import make_policy
from tests.fixtures.rollouts import make_task
from tests.fixtures.students import make_small_student
from tests.fixtures.traces import sums_row, traced
from tests.fixtures.training_run import make_run, run_stage


def config(steps: int, **trainer) -> Config:
    return Config(
        stage=RlStage("rl", limit=3, save_trajectories_every=1),
        tools=ToolsConfig("calculator"),
        model=ModelConfig("tiny"),
        sampler=SamplerConfig("transformers", max_tokens=420, max_turn_tokens=4, max_turns=2, deterministic=True),
        reward=RewardConfig("flexible"),
        trainer=RlTrainer(
            steps=steps, prompts_per_step=2, group_size=2, micro_batch_tokens=512, save_every=1, **trainer
        ),
    )


@pytest.fixture
def taught(conversations):
    return [trajectory for trajectory in conversations if trajectory.calls][:4]


def test_steps_are_stored_and_resumed_and_a_run_without_a_signal_writes_no_model(taught, chat, tmp_path):
    make_run(tmp_path, chat, taught)
    with pytest.raises(StageError, match="no optimiser step in 1 steps: in every group all rewards were equal"):
        run_stage(rl.run, config(1), tmp_path, "rl-flexible-s0")
    folder = tmp_path / "rl-flexible-s0"
    with pytest.raises(StageError, match="no optimiser step in 3 steps"):
        run_stage(rl.run, config(3, kl_coef=0.1, max_sampling_rounds=2, credit="turn"), tmp_path, "rl-flexible-s0")
    assert not (folder / "model").exists() and latest_checkpoint(folder / "checkpoints")[0] == 3
    rows = list(read_jsonl(folder / "metrics.jsonl"))
    assert [row["step"] for row in rows] == [1, 2, 3]
    assert [row.get("rollout/rounds") for row in rows] == [None, 2.0, 2.0]
    assert all(row["time/update_s"] >= 0 and row["time/push_s"] > 0 and row["policy/updates"] == 0 for row in rows)
    stored = list(read_jsonl(folder / "trajectories" / "trajectories.jsonl"))
    assert [row["step"] for row in stored] == [1] * 4 + [2] * 8 + [3] * 8
    assert {row["group_kind"] for row in stored} == {"all_fail"} and {row["advantage"] for row in stored} == {0.0}
    assert {value for row in stored for value in row["advantage_parts"].values()} == {0.0}
    assert "turn_advantages" not in stored[0] and set(stored[-1]["turn_advantages"]) == {0.0}
    assert {row["task"]["id"] for row in stored} <= {trajectory.task.id for trajectory in taught[:3]}


def test_perturbed_tasks_are_stored_with_the_tools_that_were_shown(taught, chat, tmp_path):
    make_run(tmp_path, chat, taught)
    settings = replace(config(1), task=TaskConfig(perturb=PerturbConfig(reorder=True, seed=7)))
    with pytest.raises(StageError, match="no optimiser step"):
        run_stage(rl.run, settings, tmp_path, "rl-flexible-s0")
    stored = list(read_jsonl(tmp_path / "rl-flexible-s0" / "trajectories" / "trajectories.jsonl"))
    assert {row["task"]["perturbation"]["key"] for row in stored} <= {f"7/{entry.task.id}" for entry in taught}
    assert len({row["tools"] for row in stored}) == len({row["task"]["id"] for row in stored}) == 2


def test_what_a_run_lacks_or_has_from_other_tools_is_named(taught, chat, tmp_path):
    other = replace(taught[0], tools=json.dumps([]))
    make_run(tmp_path, chat, [other])
    with pytest.raises(InputError, match=f"task {taught[0].task.id} of .* was solved with another toolset"):
        run_stage(rl.run, config(1), tmp_path, "rl-flexible-s0")
    (tmp_path / "rollout" / "trajectories.jsonl").write_text("")
    with pytest.raises(StageError, match="holds no trajectory: run `mentor stage=rollout` again"):
        run_stage(rl.run, config(1), tmp_path, "rl-flexible-s0")
    assert without_teacher(tmp_path) == 2 and without_teacher(tmp_path / "none") == 0


def test_traces_with_answers_are_continued_at_the_last_turn_of_the_user(chat, tmp_path):
    """Their schemas are the row's and their calls run the tools of the run; those without an answer are counted."""
    make_run(tmp_path, chat, traced(tmp_path, sums_row(2, 3, answer=5), sums_row(4, 5), sums_row(6, 7, answer=13)))
    with pytest.raises(StageError, match="no optimiser step in 1 steps"):
        run_stage(rl.run, config(1), tmp_path, "rl-flexible-s0")
    stored = list(read_jsonl(tmp_path / "rl-flexible-s0" / "trajectories" / "trajectories.jsonl"))
    assert {row["task"]["id"] for row in stored} == {"log-000000", "log-000002"}
    roles = ["system", "user", "assistant", "user", "assistant"]
    assert all([message["role"] for message in row["messages"]][:5] == roles for row in stored)
    assert without_answer(tmp_path) == 1


def test_traces_without_answers_or_code_for_their_tools_are_named(chat, tmp_path):
    make_run(tmp_path, chat, traced(tmp_path, sums_row(2, 3), sums_row(4, 5)))
    with pytest.raises(
        InputError, match="none of 2 tasks has an answer, which stage=rl rewards; accepted: rows with one"
    ):
        run_stage(rl.run, config(1), tmp_path, "rl-flexible-s0")
    other = sums_row(2, 3, answer=5, tools=[{"name": "sum_up"}, {"name": "add"}])
    (tmp_path / "b").mkdir()
    make_run(tmp_path / "b", chat, traced(tmp_path, other))
    with pytest.raises(InputError, match="no code, so no call of them can run: sum_up, add; accepted: tools=file"):
        run_stage(rl.run, config(1), tmp_path / "b", "rl-flexible-s0")


def test_a_student_that_ends_its_turns_otherwise_is_trained_on_that_end(chat, tmp_path):
    other, own = make_taught_run(tmp_path, chat)
    settings = config(2)
    settings.sampler.max_turn_tokens = 60
    settings.trainer.prompts_per_step, settings.trainer.group_size = 1, 8
    run_stage(rl.run, settings, tmp_path, "rl-flexible-s0")

    folder = tmp_path / "rl-flexible-s0"
    rows = [row["tokens"] for row in read_jsonl(folder / "trajectories" / "trajectories.jsonl")]
    ended = 0
    for row in rows:
        ids, mask = row["token_ids"], row["loss_mask"]
        for place in (place for place, token in enumerate(ids) if token == other):
            assert mask[place] and (place + 1 == len(ids) or (ids[place + 1], mask[place + 1]) == (own, False))
            ended += 1
    assert len(rows) == 16 and ended > 16
    assert sum(row["policy/updates"] for row in read_jsonl(folder / "metrics.jsonl")) > 0
    assert json.loads((folder / "model" / "generation_config.json").read_text())["eos_token_id"] == [own, other]


def test_guidance_that_fades_with_the_run_resumes_with_what_it_knew(chat, tmp_path):
    make_taught_run(tmp_path, chat)

    def metrics(name, *steps):
        for last in steps:
            settings = config(last, schedule="constant", learning_rate=1e-4)
            settings.sampler.max_turn_tokens = 60
            settings.trainer.prompts_per_step, settings.trainer.group_size = 1, 8
            settings.reward = RewardConfig("flexible", terms=load_preset("flexible")["terms"], anneal="run")
            run_stage(rl.run, settings, tmp_path, name)
        kept = ("reward/guidance", "reward/correct", "reward/mean", "policy/loss")
        return [[row.get(key) for key in kept] for row in read_jsonl(tmp_path / name / "metrics.jsonl")]

    whole = metrics("rl-whole-s0", 2)
    (first, right, *_), (second, *_) = whole
    assert right > 0 and first == 1.0 and second == 1 - right
    assert metrics("rl-resumed-s0", 1, 2) == whole
    for row in read_jsonl(tmp_path / "rl-whole-s0" / "trajectories" / "trajectories.jsonl"):
        reward = row["reward"]
        assert reward["guidance"] == whole[row["step"] - 1][0]
        if "match" in reward["parts"]:
            scale = 1.0 if reward["terms"]["correct"] else 0.2
            assert reward["parts"]["match"] == pytest.approx(
                0.3 * scale * reward["terms"]["match"] * reward["guidance"]
            )


def make_taught_run(root, chat):
    """A run whose base has learnt the lesson, and the two ends of its turns: one of its own, and the format's."""
    base = make_run(root, chat, [worked()])
    policy = make_policy(make_small_student(chat), chat)
    teach(policy, foreign_lesson(foreign_chat(chat)), chat.pad_id)
    policy.save_model(base)
    ends = [chat.encode(OTHER)[0], chat.eos_id]
    (base / "generation_config.json").write_text(json.dumps({"eos_token_id": ends}))
    return ends


def worked() -> Trajectory:
    """A teacher's trajectory for the task of the lesson."""
    task = replace(make_task(), reference=(ToolCall("add", {"a": 2, "b": 3}, "5"),))
    called = {"role": "assistant", "content": "", "tool_calls": [make_call("add", {"a": 2, "b": 3})]}
    result = {"role": "tool", "tool_call_id": "call_0", "name": "add", "content": "5"}
    answer = {"role": "assistant", "content": "The answer is \\boxed{5}."}
    messages = [*make_task().prompt, called, result, answer]
    record = CallRecord(0, "add", {"a": 2, "b": 3}, True)
    return Trajectory(task, messages, Toolset.builtin("calculator").schemas_json, StopReason.ANSWERED, [record])
