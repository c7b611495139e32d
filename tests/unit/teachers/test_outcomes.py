"""Outcomes in task order, whatever finishes first; a reached cap; what is stored and counted."""

import asyncio
import json

import pytest

from mentor.endpoints.spending import NoMoreRequests
from mentor.jsonl import read_jsonl
from mentor.loggers import silent_logger
from mentor.teachers.outcomes import Rejection, in_order, open_outcomes, solve_all
from mentor.tools import Toolbox, Toolset
from mentor.trajectories.rollout_counts import RolloutCounts
from mentor.types import StopReason, Task, Trajectory

TASKS = [Task(f"t{number}", f"Question {number}?", ("1",), "calculator") for number in range(5)]


def solved(task):
    return Trajectory(task, [{"role": "user", "content": task.question}], "[]", StopReason.ANSWERED, [])


@pytest.fixture
def toolbox():
    return Toolbox(Toolset.builtin("calculator"))


@pytest.mark.parametrize("concurrency", [1, 2, 8])
def test_outcomes_come_in_task_order_with_so_many_tasks_in_flight(toolbox, concurrency):
    flying = most = 0

    async def solve(task, executor):
        nonlocal flying, most
        flying += 1
        most = max(most, flying)
        for _ in range(10 - 2 * int(task.id[1])):  # later tasks finish first
            await asyncio.sleep(0)
        flying -= 1
        return Rejection("late", task.id)

    async def collect():
        async with toolbox:
            return [
                (task.id, outcome.detail)
                async for task, outcome in in_order(TASKS, solve, toolbox, lambda: concurrency)
            ]

    assert asyncio.run(collect()) == [(task.id, task.id) for task in TASKS]
    assert most == min(concurrency, len(TASKS))


def test_a_cap_leaves_its_tasks_open_and_stores_the_others(toolbox, tmp_path):
    async def solve(task, executor):
        if task.id in ("t1", "t3"):
            raise NoMoreRequests("teacher.max_cost=1 is reached")
        return Rejection("no_answer", "none") if task.id == "t2" else solved(task)

    counts = RolloutCounts()
    with open_outcomes(tmp_path, counts, len(TASKS), silent_logger()) as outcomes:
        asyncio.run(solve_all(TASKS, solve, toolbox, lambda: 2, outcomes.write, outcomes.logger.message))
    assert outcomes.stopped_by == "teacher.max_cost=1 is reached"
    assert [row["task"]["id"] for row in read_jsonl(tmp_path / "trajectories.jsonl")] == ["t0", "t4"]
    assert json.loads((tmp_path / "rejected.jsonl").read_text()) == {
        "id": "t2",
        "reason": "no_answer",
        "detail": "none",
        "question": "Question 2?",
    }
    assert (counts.ids, counts.verified, dict(counts.reasons)) == ({"t0", "t2", "t4"}, 2, {"no_answer": 1})


def test_an_error_ends_the_tasks_in_flight(toolbox):
    ended = []

    async def solve(task, executor):
        if task.id == "t0":
            raise RuntimeError("broken")
        try:
            await asyncio.sleep(60)
        finally:
            ended.append(task.id)

    async def consume():
        async with toolbox:
            async for _ in in_order(TASKS, solve, toolbox, lambda: 3):
                pass

    with pytest.raises(RuntimeError, match="broken"):
        asyncio.run(consume())
    assert ended == ["t1", "t2"]


def test_rows_that_are_no_tasks_are_stored_once_as_rejected(tmp_path):
    lines = ["rows.jsonl:2: answer is null", "rows.jsonl:5: not JSON"]
    for _ in range(2):  # the second time as a resumed rollout
        counts = RolloutCounts.stored(tmp_path, print)
        with open_outcomes(tmp_path, counts, 0, silent_logger()) as outcomes:
            outcomes.reject_rows(lines)
    assert [(row["id"], row["reason"], row["detail"]) for row in read_jsonl(tmp_path / "rejected.jsonl")] == [
        ("rows.jsonl:2", "bad_row", lines[0]),
        ("rows.jsonl:5", "bad_row", lines[1]),
    ]
    assert counts.reasons == {"bad_row": 2}
