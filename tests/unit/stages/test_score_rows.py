"""Rows of stage=score: stored trajectories and raw rows mixed, their groups, and work on groups in order."""

import json
import threading

import pytest

from mentor.errors import InputError
from mentor.loggers import silent_logger
from mentor.stages.score_rows import GROUPS_AHEAD, scan_rows, work_on_groups
from tests.unit.rewards.builders import HONEST, make_trajectory, raw_row


def rows_of(tmp_path, *records):
    path = tmp_path / "rows.jsonl"
    path.write_text("".join(json.dumps(record) + "\n" for record in records))
    return scan_rows(path)


def test_rows_of_one_group_and_step_are_together_and_a_raw_row_is_alone(tmp_path):
    member = {**make_trajectory(calls=HONEST).to_dict(), "group_id": "g"}
    raw = raw_row([], r"\boxed{72}", id=7)
    rows = rows_of(
        tmp_path, {**member, "step": 1}, raw, {**member, "step": 2}, {**member, "step": 1}, raw | {"id": "x"}
    )
    assert [row.id for row in rows] == ["t0", 7, "t0", "t0", "x"]
    assert rows.ends.tolist() == [False, True, True, True, True]
    assert positions(rows.groups()) == [[1], [2], [0, 3], [4]]  # as they end


def positions(groups):
    return [[row.position for row in group] for group in groups]


def test_groups_whose_keys_have_one_hash_are_kept_apart(tmp_path):
    member = {**make_trajectory(calls=HONEST).to_dict(), "group_id": -1}
    assert hash((-1, 0)) == hash((-2, 0))  # CPython has no hash of -1
    rows = rows_of(tmp_path, *[{**member, "group_id": group, "step": 0} for group in (-1, -2, -1, -2, -1)])
    assert positions(rows.groups()) == [[0, 2, 4], [1, 3]]


def test_rows_added_later_are_left_out_and_lost_ones_named(tmp_path):
    rows = rows_of(tmp_path, *[raw_row([], "1", id=number) for number in range(3)])
    text = rows.path.read_text()
    rows.path.write_text(text * 2)
    assert [row.id for row in rows] == [0, 1, 2]
    rows.path.write_text(text.splitlines(keepends=True)[0])
    with pytest.raises(InputError, match=r"rows\.jsonl: lost rows while it was read"):
        list(rows)


def test_a_row_that_is_neither_is_named_with_its_line(tmp_path):
    with pytest.raises(InputError, match="rows.jsonl:2: no 'response'"):
        rows_of(tmp_path, raw_row([], "1"), {"id": 1})


def test_work_comes_back_in_order_and_an_error_stops_it(tmp_path):
    rows = rows_of(tmp_path, *[raw_row([], str(number), id=number) for number in range(6)])
    turn = threading.Event()

    def work(trajectories):
        if trajectories[0].task.id == "0":
            turn.wait(5)  # the first group is done after the second
        else:
            turn.set()
        return len(trajectories)

    done = list(work_on_groups(rows, work, 2, silent_logger(), "work"))
    assert [([row.position for row in group], made) for group, made in done] == [([n], 1) for n in range(6)]

    def fail(trajectories):
        raise RuntimeError("broken")

    with pytest.raises(RuntimeError, match="broken"):
        list(work_on_groups(rows, fail, 2, silent_logger(), "work"))


def test_no_more_than_a_few_groups_are_read_before_their_results_are_taken(tmp_path):
    rows = rows_of(tmp_path, *[raw_row([], "1", id=number) for number in range(100)])
    started = []
    results = work_on_groups(rows, lambda members: started.append(members[0].task.id), 1, silent_logger(), "work")
    next(results)
    assert len(started) <= GROUPS_AHEAD + 1
    assert len(list(results)) == 99 and len(started) == 100
