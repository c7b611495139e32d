"""teacher=model: tries batched through the project's own sampler and environment, verified and chosen like others."""

import pytest

from mentor.environment import Environment, RolloutLimits
from mentor.errors import StageError
from mentor.jsonl import JsonlWriter, read_jsonl
from mentor.rewards.correctness import Grader
from mentor.tasks.calculator import generate
from mentor.teachers import Rejection
from mentor.teachers.in_process import tries_at
from mentor.teachers.sampled import Verifier
from mentor.tools import Toolbox, Toolset
from mentor.types import StopReason, ToolCall
from tests.fixtures.recording_sampler import RecordingSampler
from tests.fixtures.students import make_wide_student
from tests.fixtures.teacher_rollouts import run_stage

ADD = '<tool_call>\n{"name": "add", "arguments": {"a": 1, "b": 2}}\n</tool_call>'


def test_tries_come_by_task_and_the_right_one_with_fewest_calls_is_kept(chat, tmp_path):
    end = chat.eos_token
    tasks = generate("train", 2, 1, 0)
    right = [f"The answer is \\boxed{{{task.answer[0]}}}.{end}" for task in tasks]
    script = {
        "0": [ADD + end, ADD + end, right[0]],
        "1": [ADD + end, right[0]],
        "2": [f"\\boxed{{-99}}{end}"],
        "3": [f"<tool_call>{end}", right[1]],  # a malformed call on the way
    }
    toolbox = Toolbox(Toolset.builtin("calculator"))
    with (
        Environment(RecordingSampler(chat, script), toolbox, chat, RolloutLimits()) as environment,
        JsonlWriter(tmp_path / "samples.jsonl") as log,
        Grader() as grader,
    ):
        tries = tries_at(tasks, environment, samples=2, seed=0, temperature=1.0)
        assert [[entry.task.id for entry in attempts] for attempts in tries] == [[task.id] * 2 for task in tasks]
        verifier = Verifier(grader, "fewest_calls", log)
        judged = [[verifier.judged(entry) for entry in attempts] for attempts in tries]
        first, second = (verifier.conclude(task, entries) for task, entries in zip(tasks, judged, strict=True))
    assert first.task.reference == (ToolCall("add", {"a": 1, "b": 2}, "3"),)
    assert first.tokens is None and first.response is None and first.stop_reason is StopReason.ANSWERED
    assert isinstance(second, Rejection) and second.reason in ("wrong_answer", "invalid_calls")
    reasons = [record["reason"] for record in read_jsonl(tmp_path / "samples.jsonl")]
    assert reasons == [None, None, "wrong_answer", "invalid_calls"]


def test_the_stage_samples_a_model_folder_in_batches(chat, tmp_path):
    """A model that knows nothing: every try is judged and written down, and the stage says that none was right."""
    make_wide_student(chat).save_pretrained(tmp_path / "model")
    chat.tokenizer.save_pretrained(tmp_path / "model")
    overrides = ("teacher=model", f"teacher.path={tmp_path / 'model'}", "teacher.samples=3", "task.size=5")
    limits = ("teacher.sampler.max_running=7", "teacher.sampler.max_turn_tokens=16", "teacher.sampler.max_tokens=512")
    with pytest.raises(StageError, match="none of 5 tasks gave a verified trajectory"):
        run_stage(tmp_path / "rollout", *overrides, *limits)
    records = list(read_jsonl(tmp_path / "rollout" / "samples.jsonl"))
    assert len(records) == 15 and all(record["reason"] for record in records)
    assert len({(record["id"], record["sample"]) for record in records}) == 15
    assert len(list(read_jsonl(tmp_path / "rollout" / "rejected.jsonl"))) == 5
