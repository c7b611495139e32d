"""Stored trajectories: read back, and what is none."""

import hashlib
import json
from dataclasses import replace
from pathlib import Path

import pytest

from mentor.chat.messages import make_call
from mentor.errors import InputError
from mentor.jsonl import read_jsonl
from mentor.trajectories.store import TrajectoryWriter, load_trajectories, stored_trajectory
from mentor.trajectories.tool_sets import ToolSets
from mentor.types import CallRecord, StopReason, Task, Tokens, ToolCall, Trajectory

ADD = '[{"type": "function", "function": {"name": "add", "description": "a + b"}}]'
HASH = f"sha256:{hashlib.sha256(ADD.encode()).hexdigest()[:12]}"


def make_trajectory(question="2+3?"):
    messages = [{"role": "user", "content": question}, {"role": "assistant", "content": "\\boxed{5} é"}]
    task = Task("t-0", question, ("5",), "calculator", reference=())
    return Trajectory(task, messages, "[]", StopReason.ANSWERED, [CallRecord(0, "add", {"a": 2, "b": 3}, True)])


def test_trajectories_come_back_equal(tmp_path):
    made = [make_trajectory(), replace(make_trajectory(), tools=ADD), replace(make_trajectory("?"), tools=ADD)]
    with TrajectoryWriter(tmp_path / "t.jsonl") as writer:
        for trajectory in made:
            writer.write({**trajectory.to_dict(), "step": 4})
    assert load_trajectories(tmp_path / "t.jsonl") == made


def test_a_listing_of_schemas_is_stored_once_beside_the_files_that_refer_to_it(tmp_path):
    with TrajectoryWriter(tmp_path / "t.jsonl") as writer:
        for tools in (ADD, ADD, "[]"):
            writer.write({"step": 4, **replace(make_trajectory(), tools=tools).to_dict()})
    with TrajectoryWriter(tmp_path / "other.jsonl") as writer:  # as after a resume too
        writer.write(replace(make_trajectory(), tools=ADD).to_dict())
    rows = [*read_jsonl(tmp_path / "t.jsonl"), *read_jsonl(tmp_path / "other.jsonl")]
    assert [(row["schema"], row["tools"]) for row in rows] == [(2, HASH), (2, HASH), (2, "[]"), (2, HASH)]
    assert list(rows[0])[:2] == ["step", "schema"]
    assert list(read_jsonl(tmp_path / "tool_sets.jsonl")) == [{"hash": HASH, "tools": ADD}]


def test_a_file_stored_before_is_read_and_added_to(tmp_path):
    path = tmp_path / "t.jsonl"
    tools = ADD.replace('"', '\\"')
    path.write_text(
        '{"schema":1,"task":{"id":"t-0","question":"2+3?","answer":["5"],"toolset":"calculator","split":"train",'
        '"reference":[]},"messages":[{"role":"user","content":"2+3?"},{"role":"assistant","content":"\\\\boxed{5} é"}],'
        f'"tools":"{tools}","stop_reason":"answered","calls":[{{"turn":0,"name":"add","arguments":{{"a":2,"b":3}},'
        '"ok":true,"error":null,"seconds":0.0}],"group_id":null,"isolation":null,"hidden_calls":0,"response":null,'
        '"eos":null,"tokens":null}\n'
    )
    expected = replace(make_trajectory(), tools=ADD)
    assert load_trajectories(path) == load_trajectories(path, schemas=False) == [expected]
    with TrajectoryWriter(path) as writer:
        writer.write(expected.to_dict())
    assert load_trajectories(path) == [expected, expected]
    assert path.read_text().count("a + b") == 1


def test_a_reference_stored_without_results_takes_those_of_the_teachers_own_trajectory(tmp_path):
    def stored(**changes):
        messages = [*made.messages[:1], turn, {"role": "tool", "content": "5"}, made.messages[1]]
        row = replace(made, messages=messages, **changes).to_dict()
        return stored_trajectory(row, "t", ToolSets(tmp_path)).task.reference

    turn = {"role": "assistant", "content": "", "tool_calls": [make_call("add", {"a": 2, "b": 3})]}
    made = replace(
        make_trajectory(), task=replace(make_trajectory().task, reference=(ToolCall("add", {"a": 2, "b": 3}),))
    )
    assert stored() == (ToolCall("add", {"a": 2, "b": 3}, "5"),)
    assert stored(tokens=Tokens()) == made.task.reference  # a student's
    other = (ToolCall("add", {"a": 2, "b": 2}),)
    assert stored(task=replace(made.task, reference=other)) == other
    known = (ToolCall("add", {"a": 2, "b": 3}, "6"),)
    assert stored(task=replace(made.task, reference=known)) == known


def test_a_file_moved_without_its_listings_is_named_where_they_are_needed(tmp_path):
    with TrajectoryWriter(tmp_path / "t.jsonl") as writer:
        writer.write(replace(make_trajectory(), tools=ADD).to_dict())
    moved = tmp_path / "elsewhere" / "t.jsonl"
    moved.parent.mkdir()
    (tmp_path / "t.jsonl").rename(moved)
    with pytest.raises(InputError) as caught:
        load_trajectories(moved)
    assert str(caught.value) == (
        f"{moved}: record 1 refers to the tool schemas {HASH}, and {moved.parent}/tool_sets.jsonl is missing; "
        "accepted: the tool_sets.jsonl of the folder that the trajectory was stored in, copied beside its file"
    )
    assert load_trajectories(moved, schemas=False) == [replace(make_trajectory(), tools=HASH)]
    (tmp_path / "tool_sets.jsonl").rename(moved.parent / "tool_sets.jsonl")
    assert load_trajectories(moved)[0].tools == ADD


def test_listings_are_checked(tmp_path):
    with TrajectoryWriter(tmp_path / "t.jsonl") as writer:
        writer.write(replace(make_trajectory(), tools='[{"type": "function"}]').to_dict())
    with pytest.raises(InputError, match=r"t\.jsonl: record 1"):
        load_trajectories(tmp_path / "t.jsonl")


def test_missing_file_and_records_that_are_no_trajectories(tmp_path):
    with pytest.raises(InputError, match="no such file"):
        list(read_jsonl(tmp_path / "none.jsonl"))
    path = tmp_path / "rows.jsonl"
    row = make_trajectory().to_dict()
    for bad, reason in [
        ({"id": "a"}, "trajectory schema None, accepted: 1 or 2"),
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
    assert stored_trajectory(record, "x.jsonl:1", ToolSets(Path("."))).turns == 1
    with pytest.raises(InputError, match="x.jsonl:1"):
        stored_trajectory({**record, **change}, "x.jsonl:1", ToolSets(Path(".")))


def test_a_conversation_is_read_in_the_order_of_its_calls_and_one_that_makes_no_sense_is_refused(tmp_path):
    calls = [make_call("add", {"a": 2, "b": 3}, number) for number in (0, 1)]
    replies = [{"role": "tool", "tool_call_id": f"call_{n}", "name": "add", "content": f"{n}"} for n in (1, 0)]
    turn = {"role": "assistant", "content": "", "tool_calls": calls}
    made = replace(make_trajectory(), messages=[{"role": "user", "content": "?"}, turn, *replies])
    read = stored_trajectory(made.to_dict(), "t.jsonl: record 3", ToolSets(tmp_path))
    assert [message["content"] for message in read.messages[2:]] == ["0", "1"]
    with pytest.raises(InputError, match=r"t\.jsonl: record 3: message 1 \(oracle\): accepted are the roles"):
        stored_trajectory(
            replace(made, messages=[{"role": "oracle", "content": ""}]).to_dict(),
            "t.jsonl: record 3",
            ToolSets(tmp_path),
        )
