"""The teacher of traces: what it hands on, what it rejects, and calls that run again."""

import asyncio
import json

import pytest

from mentor.jsonl import read_jsonl
from mentor.rewards.correctness import Grader
from mentor.tasks import load_tasks
from mentor.teachers.outcomes import Rejection
from mentor.teachers.recorded import RecordedTeacher, as_trajectory, run_again, same_result
from mentor.tools import Toolbox, Toolset
from mentor.trajectories.store import load_trajectories
from mentor.types import CallError, StopReason, ToolCall
from tests.fixtures.teacher_rollouts import run_stage

ADD = {
    "name": "add",
    "parameters": {"type": "object", "properties": {"a": {"type": "number"}, "b": {"type": "number"}}},
}


def call(given, name="add", **arguments):
    return {"id": given, "type": "function", "function": {"name": name, "arguments": json.dumps(arguments)}}


def trace(*sums, end="Done.", question="Add.", **more):
    """A conversation with one call a turn; sums are (a, b, the result in the log)."""
    messages = [{"role": "user", "content": question}]
    for number, (a, b, result) in enumerate(sums):
        messages.append({"role": "assistant", "content": None, "tool_calls": [call(f"c{number}", a=a, b=b)]})
        messages.append({"role": "tool", "tool_call_id": f"c{number}", "content": result})
    return {"messages": [*messages, {"role": "assistant", "content": end}], "tools": [ADD], **more}


def load(tmp_path, *rows):
    path = tmp_path / "log.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return load_tasks("traces", str(path))


def test_a_trace_is_a_trajectory_whose_calls_since_the_last_question_are_its_reference(tmp_path):
    row = trace((1, 2, "3"))
    unlisted = {"role": "assistant", "content": "", "tool_calls": [call("d", a=3, b=4), call("e", "launch")]}
    more = [
        {"role": "user", "content": "And 4?"},
        unlisted,
        *({"role": "tool", "content": text} for text in ("7", "up")),
    ]
    row["messages"] += [*more, {"role": "assistant", "content": "", "tool_calls": [call("f", a=7, b=1)]}]
    (task,) = load(tmp_path, row)
    made = as_trajectory(task, task.source["row"].trace)
    assert [(c.turn, c.name, c.error) for c in made.calls] == [
        (0, "add", None),
        (2, "add", None),
        (2, "launch", CallError.UNKNOWN_TOOL),
        (3, "add", CallError.NOT_RUN),
    ]
    assert made.task.reference == (ToolCall("add", {"a": 3, "b": 4}, "7"), ToolCall("add", {"a": 7, "b": 1}))
    assert made.stop_reason is StopReason.CALLED and made.turns == 2 and made.task.source == {}
    assert json.loads(made.tools)[0]["function"]["name"] == "add"


def test_low_rewards_and_wrong_boxed_answers_are_rejected(tmp_path):
    run = {"traj": trace((1, 2, "3"))["messages"], "reward": 0.0}
    (failed,) = load(tmp_path, run)
    boxed = [trace((1, 2, "3"), end="\\boxed{3}", answer=answer, question=f"{answer}?") for answer in (3, 4)]
    right, wrong = load(tmp_path, *boxed)
    with Grader() as grader:
        judge = RecordedTeacher().judged
        assert judge(failed, grader).reason == "low_reward" and judge(wrong, grader).reason == "wrong_answer"
        assert "log.jsonl:2: answered 3, the answer is 4" in judge(wrong, grader).detail
        assert judge(right, grader).final_text == "\\boxed{3}"
        assert not isinstance(RecordedTeacher(min_reward=None).judged(failed, grader), Rejection)


def test_calls_run_again_where_their_tools_are_at_hand(tmp_path):
    tasks = load(tmp_path, trace((1, 2, "3.0"), (3, 4, "7")), trace((1, 2, "4"), question="Other."))
    other = json.loads(json.dumps(trace((1, 2, "x"))))
    other["messages"][1]["tool_calls"][0]["function"]["name"] = other["tools"][0]["name"] = "unknown"
    tasks += load(tmp_path, other)

    async def run():
        async with Toolbox(Toolset.builtin("calculator")) as toolbox:
            return [await run_again(as_trajectory(task, task.source["row"].trace), toolbox) for task in tasks]

    same, differs, elsewhere = asyncio.run(run())
    assert same.isolation == "interpreter" and all(record.seconds > 0 for record in same.calls)
    assert differs == Rejection("different_result", "add in turn 1 returned '3', and the trace has '4'")
    assert elsewhere.isolation is None


@pytest.mark.parametrize(
    ("text", "other", "same"),
    [("3", " 3\n", True), ("3", "3.0", True), ('{"a": 1}', "{'a': 1.0}", True), ("3", "4", False), ("x", '"x"', False)],
)
def test_results_are_the_same_by_text_number_or_value(text, other, same):
    assert same_result(text, other) is same


def test_a_rollout_of_traces_with_its_counts(tmp_path):
    """Through the stage, twice: a finished rollout has nothing left to do."""
    rows = [trace((1, 2, "3")), trace((1, 2, "3")), trace((1, 2, "4"), question="Other."), {"messages": []}]
    load(tmp_path, *rows)
    folder, command = tmp_path / "r", ["teacher=traces", f"task.path={tmp_path}/log.jsonl", "teacher.reexecute=true"]
    result = run_stage(folder, *command)
    assert result.counts["verified"] == 1
    assert result.counts["rejected"] == {"repeated": 1, "different_result": 1, "empty": 1}
    counts = result.counts["traces"]
    assert (counts["form"], counts["rows"], counts["made_tools"]) == ("openai", 4, 0)
    assert (counts["read"]["turns"], counts["read"]["calls"], counts["kept"]["turns"], counts["kept"]["calls"]) == (
        6,
        3,
        2,
        1,
    )
    assert counts["kept"]["reexecuted"] == 1
    (kept,) = load_trajectories(folder / "trajectories.jsonl")
    assert kept.task.reference == (ToolCall("add", {"a": 1, "b": 2}, "3"),) and kept.isolation == "interpreter"
    assert [row["id"] for row in read_jsonl(folder / "rejected.jsonl")] == ["log-000001", "log-000002", "log-000003"]
    assert run_stage(folder, *command).counts == result.counts
