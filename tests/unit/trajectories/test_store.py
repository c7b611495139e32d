"""mentor/trajectories/store.py: append, read back, torn lines, roll back."""

import json

import pytest

from mentor.errors import InputError
from mentor.jsonl import JsonlWriter, read_jsonl, roll_back
from mentor.trajectories.store import load_trajectories, stored_trajectory
from mentor.types import CallRecord, StopReason, Task, Trajectory


def make_trajectory(question="2+3?"):
    messages = [{"role": "user", "content": question}, {"role": "assistant", "content": "\\boxed{5} é"}]
    task = Task("t-0", question, ("5",), "calculator", reference=())
    return Trajectory(task, messages, "[]", StopReason.ANSWERED, [CallRecord(0, "add", {"a": 2, "b": 3}, True)])


def test_each_record_is_one_compact_line_and_on_disk_at_once(tmp_path):
    path = tmp_path / "new/rows.jsonl"
    with JsonlWriter(path) as writer:
        writer.write({"text": "é\n", "n": [1, 2]})
        assert path.read_text() == '{"text":"é\\n","n":[1,2]}\n'
    with JsonlWriter(path) as writer:
        writer.write({"step": 1})
    assert list(read_jsonl(path)) == [{"text": "é\n", "n": [1, 2]}, {"step": 1}]


def test_trajectories_come_back_equal(tmp_path):
    with JsonlWriter(tmp_path / "t.jsonl") as writer:
        writer.write({**make_trajectory().to_dict(), "step": 4})
    assert load_trajectories(tmp_path / "t.jsonl") == [make_trajectory()]


def test_half_written_last_line_is_dropped_and_reported_by_reader_and_writer(tmp_path):
    path, told = tmp_path / "rows.jsonl", []
    path.write_text('{"step":0}\n{"step":1}\n{"step":2,"te')
    assert [row["step"] for row in read_jsonl(path, told.append)] == [0, 1]
    with JsonlWriter(path, told.append) as writer:
        writer.write({"step": 2})
    assert path.read_text() == '{"step":0}\n{"step":1}\n{"step":2}\n'
    assert told == [
        f"{path}:3: dropped a half-written last line (13 bytes)",
        f"{path}: dropped a half-written last line (13 bytes)",
    ]


def test_whole_last_line_without_line_end_is_kept(tmp_path):
    path = tmp_path / "rows.jsonl"
    path.write_text('{"step":0}')
    assert list(read_jsonl(path)) == [{"step": 0}]
    with JsonlWriter(path) as writer:
        writer.write({"step": 1})
    assert [row["step"] for row in read_jsonl(path)] == [0, 1]


@pytest.mark.parametrize("line", ["{oops", "[1]", "\udcff"])
def test_corrupt_line_in_the_middle_is_named(tmp_path, line):
    path = tmp_path / "rows.jsonl"
    path.write_bytes(f'{{"step":0}}\n{line}\n{{"step":2}}\n'.encode(errors="surrogateescape"))
    with pytest.raises(InputError, match=r"rows\.jsonl:2: not a JSON object"):
        list(read_jsonl(path))


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


def test_roll_back_moves_later_records_and_can_be_repeated(tmp_path):
    path = tmp_path / "rl.jsonl"
    path.write_text('{"a":1}\n{"step":1}\n{"step":2}\n{"step":3}\n{"step":2}\n{"st')
    told = []
    assert roll_back(path, 1, told.append) == 3
    assert len(told) == 1
    assert path.read_text() == '{"a":1}\n{"step":1}\n'
    aside = tmp_path / "rl.rolled_back.jsonl"
    assert aside.read_text() == '{"step":2}\n{"step":3}\n{"step":2}\n'
    assert roll_back(path, 1) == 0 and roll_back(tmp_path / "none.jsonl", 1) == 0
    assert roll_back(path, 0) == 1
    assert aside.read_text().count("\n") == 4
    assert sorted(entry.name for entry in tmp_path.iterdir()) == ["rl.jsonl", "rl.rolled_back.jsonl"]


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
