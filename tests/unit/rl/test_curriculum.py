"""Tasks drawn by the student's success, by hand."""

import math
import random
from collections import Counter

import pytest

from mentor.jsonl import JsonlWriter, read_jsonl
from mentor.rl.curriculum import Curriculum, CurriculumSettings
from mentor.types import RewardBreakdown, Task, TrajectoryGroup

TASKS = [Task(f"t{i}", "q", ("1",), "calculator") for i in range(6)]


def make(rest_steps=0, window=3, tasks=TASKS, **more):
    return Curriculum(tasks, CurriculumSettings(rest_steps, window), seed=7, **more)


def group(number, *correct):
    rewards = [RewardBreakdown(value, {"correct": value}) for value in correct]
    return TrajectoryGroup(TASKS[number], [], rewards)


def names(tasks):
    return [task.id for task in tasks]


def test_success_is_counted_over_the_last_groups_beside_two_tries_of_what_was_known():
    curriculum = make(window=2, prior={"t1": 0.75})
    assert (curriculum.success(TASKS[0]), curriculum.success(TASKS[1])) == (0.5, 0.75)
    curriculum.record(1, [group(0, 1.0, 0.0, 0.0, None), group(1, 1.0, 1.0)])
    assert curriculum.success(TASKS[0]) == (1 + 1) / (3 + 2) and curriculum.success(TASKS[1]) == (2 + 1.5) / (2 + 2)
    curriculum.record(2, [group(0, 1.0, 1.0)])
    curriculum.record(3, [group(0, 0.0, 0.0)])
    assert curriculum.success(TASKS[0]) == (2 + 1) / (4 + 2)  # the first group has left the window
    curriculum.record(4, [group(0, None, None)])
    assert curriculum.success(TASKS[0]) == (0 + 1) / (2 + 2)


def test_tasks_that_are_solved_sometimes_are_drawn_more_often():
    curriculum = make()
    for step in range(1, 4):
        curriculum.record(step, [group(0, *[1.0] * 8), group(1, *[0.0] * 8), group(2, *[1.0, 0.0] * 4)])
    drawn = Counter(curriculum.draw(step, 0, 1)[0].id for step in range(10, 4010))
    # p of 25/26, 1/26 and 1/2: weights 0.037, 0.037 and 0.25, as the three that were not drawn yet
    weights = {"t0": 25 / 26**2, "t1": 25 / 26**2, "t2": 0.25, "t3": 0.25, "t4": 0.25, "t5": 0.25}
    for task, weight in weights.items():
        share = weight / sum(weights.values())
        assert drawn[task] / 4000 == pytest.approx(share, abs=4 * math.sqrt(share * (1 - share) / 4000))


def test_draws_are_without_replacement_and_come_from_seed_step_and_round():
    curriculum = make()
    first = names(curriculum.draw(1, 0, 6))
    assert sorted(first) == names(TASKS) and first == names(make().draw(1, 0, 6))
    others = [names(curriculum.draw(2, 0, 6)), names(curriculum.draw(1, 1, 6))]
    others.append(names(Curriculum(TASKS, CurriculumSettings(), seed=8).draw(1, 0, 6)))
    assert len({tuple(order) for order in (first, *others)}) == 4
    state = random.getstate()
    curriculum.draw(3, 0, 2)
    assert random.getstate() == state, "no draw of anyone else's is moved"


def test_solved_and_hopeless_tasks_rest_and_come_back():
    curriculum = make(rest_steps=2)
    curriculum.record(1, [group(0, 1.0, 1.0), group(1, 0.0, 0.0, None), group(2, 1.0, 0.0), group(3, None, None)])
    for step in (2, 3):
        assert sorted(names(curriculum.draw(step, 0, 4))) == ["t2", "t3", "t4", "t5"]
        assert sorted(names(curriculum.draw(step, 0, 5))[4:]) in (["t0"], ["t1"]), "drawn where too few are left"
    assert sorted(names(curriculum.draw(4, 0, 6))) == names(TASKS)
    assert make(rest_steps=0).draw(1, 0, 6), "none rests"


def test_a_step_draws_a_task_once_in_all_its_rounds_while_others_are_left():
    curriculum = make(rest_steps=5)
    curriculum.draw(1, 0, 2)
    curriculum.record(1, [group(0, 1.0, 1.0), group(1, 1.0, 0.0)])
    assert sorted(names(curriculum.draw(1, 1, 4))) == ["t2", "t3", "t4", "t5"]
    curriculum.record(1, [group(number, 1.0, 0.0) for number in (2, 3, 4, 5)])
    assert names(curriculum.draw(1, 2, 2)) == ["t0", "t1"], "all were drawn"
    assert names(make(tasks=TASKS[:2]).draw(1, 0, 4))[:2] == names(make(tasks=TASKS[:2]).draw(1, 0, 4))[2:]


def test_the_nearest_to_the_end_of_their_rest_are_drawn_first_where_too_few_are_awake():
    curriculum = make(rest_steps=10)
    for step, number in enumerate((3, 1, 5, 0, 2, 4), start=1):
        curriculum.record(step, [group(number, 0.0, 0.0)])
    assert names(curriculum.draw(7, 0, 3)) == ["t3", "t1", "t5"]


def test_metrics_are_of_the_tasks_of_the_step():
    curriculum = make(rest_steps=2, prior={task.id: 0.25 for task in TASKS})
    curriculum.draw(1, 0, 2)
    curriculum.record(1, [group(0, 1.0, 1.0), group(1, 1.0, 0.0)])
    assert curriculum.metrics(1) == {
        "curriculum/expected_success": 0.25,
        "curriculum/resting": 1,
        "curriculum/seen": 1 / 3,
    }
    curriculum.draw(1, 1, 2)
    curriculum.record(1, [group(2, 0.0, 0.0)])
    assert (
        curriculum.metrics(1)["curriculum/expected_success"] == 0.25
        and curriculum.metrics(3)["curriculum/resting"] == 0
    )


def test_stored_outcomes_restore_the_curriculum(tmp_path):
    path = tmp_path / "curriculum.jsonl"
    with JsonlWriter(path) as store:
        whole = make(rest_steps=3, store=store)
        for step in range(1, 6):
            drawn = whole.draw(step, 0, 2)
            whole.record(step, [group(TASKS.index(task), 1.0, float(step % 2)) for task in drawn])
    stored = list(read_jsonl(path))
    assert stored[0].keys() == {"step", "task", "right", "graded", "rests"}
    resumed = make(rest_steps=3)
    resumed.replay(stored)
    assert [names(resumed.draw(step, 0, 3)) for step in (6, 7)] == [names(whole.draw(step, 0, 3)) for step in (6, 7)]
