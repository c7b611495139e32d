"""Rows of stage=score: stored trajectories and raw rows mixed, their groups, and work on groups in order."""

import json
import threading

import pytest

from mentor.errors import InputError
from mentor.loggers import silent_logger
from mentor.stages.score_rows import groups_of, load_rows, work_on_groups
from tests.unit.rewards.builders import HONEST, make_trajectory, raw_row


def rows_of(tmp_path, *records):
    path = tmp_path / "rows.jsonl"
    path.write_text("".join(json.dumps(record) + "\n" for record in records))
    return load_rows(path)


def test_rows_of_one_group_and_step_are_together_and_a_raw_row_is_alone(tmp_path):
    member = {**make_trajectory(calls=HONEST).to_dict(), "group_id": "g"}
    raw = raw_row([], r"\boxed{72}", id=7)
    rows = rows_of(
        tmp_path, {**member, "step": 1}, raw, {**member, "step": 2}, {**member, "step": 1}, raw | {"id": "x"}
    )
    assert [row.id for row in rows] == ["t0", 7, "t0", "t0", "x"]
    assert groups_of(rows) == [[0, 3], [1], [2], [4]]


def test_a_row_that_is_neither_is_named_with_its_line(tmp_path):
    with pytest.raises(InputError, match="rows.jsonl:2: no 'response'"):
        rows_of(tmp_path, raw_row([], "1"), {"id": 1})


def test_work_comes_back_in_order_and_an_error_stops_it(tmp_path):
    rows = rows_of(tmp_path, *[raw_row([], str(number), id=number) for number in range(6)])
    groups, turn = groups_of(rows), threading.Event()

    def work(trajectories):
        if trajectories is not None and trajectories[0] is rows[0].trajectory:
            turn.wait(5)  # the first group is done after the second
        else:
            turn.set()
        return len(trajectories)

    done = list(work_on_groups(rows, groups, work, 2, silent_logger(), "work"))
    assert done == [([number], 1) for number in range(6)]

    def fail(trajectories):
        raise RuntimeError("broken")

    with pytest.raises(RuntimeError, match="broken"):
        list(work_on_groups(rows, groups, fail, 2, silent_logger(), "work"))
