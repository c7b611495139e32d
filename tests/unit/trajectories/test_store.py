"""Stored trajectories: read back, and what is none."""

import json

import pytest

from mentor.errors import InputError
from mentor.jsonl import JsonlWriter, read_jsonl
from mentor.trajectories.store import load_trajectories, stored_trajectory
from mentor.types import CallRecord, StopReason, Task, Trajectory


def make_trajectory(question="2+3?"):
    messages = [{"role": "user", "content": question}, {"role": "assistant", "content": "\\boxed{5} é"}]
    task = Task("t-0", question, ("5",), "calculator", reference=())
    return Trajectory(task, messages, "[]", StopReason.ANSWERED, [CallRecord(0, "add", {"a": 2, "b": 3}, True)])


def test_trajectories_come_back_equal(tmp_path):
    with JsonlWriter(tmp_path / "t.jsonl") as writer:
        writer.write({**make_trajectory().to_dict(), "step": 4})
    assert load_trajectories(tmp_path / "t.jsonl") == [make_trajectory()]


def test_missing_file_and_records_that_are_no_trajectories(tmp_path):
    with pytest.raises(InputError, match="no such file"):
        list(read_jsonl(tmp_path / "none.jsonl"))
    path = tmp_path / "rows.jsonl"
    row = make_trajectory().to_dict()
    for bad, reason in [
        ({"id": "a"}, "trajectory schema None, accepted: 1"),
        ({**row, "stop_reason": "bored"}, "'bored' is not a valid StopReason"),
        ({key: value for key, value in row.items() if key != "calls"}, "no key 'calls'"),
        ({**row, "task": None}, "NoneType"),
    ]:
        path.write_text(json.dumps(row) + "\n" + json.dumps(bad) + "\n")
        with pytest.raises(InputError, match="record 2 is not a trajectory") as caught:
            load_trajectories(path)
        assert reason in str(caught.value)


@pytest.mark.parametrize(
    "change",
    [
        {"tools": '{"name": "f"}'},
        {"tools": "[1]"},
        {"tools": None},
        {"messages": []},
        {"messages": [1]},
        {"messages": [{"role": "assistant", "content": 5}]},
    ],
)
def test_a_record_whose_messages_or_tools_are_none_is_refused(change: dict[str, object]) -> None:
    task = {"id": "1", "question": "q", "answer": ["3"], "toolset": "calculator"}
    messages = [{"role": "user", "content": "q"}, {"role": "assistant", "content": "3"}]
    record = {"schema": 1, "task": task, "messages": messages, "tools": "[]", "stop_reason": "answered", "calls": []}
    assert stored_trajectory(record, "x.jsonl:1", set()).turns == 1
    with pytest.raises(InputError, match="x.jsonl:1"):
        stored_trajectory({**record, **change}, "x.jsonl:1", set())
