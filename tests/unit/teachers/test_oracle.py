"""The oracle: the program or another valid path by the task's id, and its rejections."""

import pytest

from mentor.errors import ConfigError
from mentor.tasks.calculator import generate
from mentor.tasks.programs import alternatives, step
from mentor.teachers import build_teacher
from mentor.types import Task, Trajectory
from tests.fixtures.teacher_rollouts import solve


def test_oracle_solves_every_split_by_the_program():
    tasks = [task for split in ("train", "long", "wording", "combo", "numbers") for task in generate(split, 40, 3, 0)]
    for task, outcome in zip(tasks, solve(tasks, build_teacher("oracle", 0.0, 0)), strict=True):
        assert isinstance(outcome, Trajectory), outcome
        assert [call.name for call in outcome.calls] == [entry["name"] for entry in task.source["program"]]
        assert outcome.messages[-2]["content"] == task.answer[0]
        assert outcome.final_text == f"The answer is \\boxed{{{task.answer[0]}}}."


def test_oracle_takes_alternative_paths_by_id_and_every_path_holds():
    tasks = generate("train", 120, 3, 0)
    always, sometimes = build_teacher("oracle", 1.0, 0), build_teacher("oracle", 0.3, 0)
    names = [[call.name for call in outcome.calls] for outcome in solve(tasks, always)]
    own = [[entry["name"] for entry in task.source["program"]] for task in tasks]
    possible = [bool(alternatives(task.source["program"])) for task in tasks]
    assert [a != b for a, b in zip(names, own, strict=True)] == possible
    forward = {o.task.id: o.task.reference for o in solve(tasks, sometimes)}
    backward = {o.task.id: o.task.reference for o in solve(tasks[::-1], build_teacher("oracle", 0.3, 0))}
    other_seed = {o.task.id: o.task.reference for o in solve(tasks, build_teacher("oracle", 0.3, 1))}
    assert forward == backward != other_seed
    taken = sum([c.name for c in forward[t.id]] != o for t, o in zip(tasks, own, strict=True))
    assert 0.1 < taken / sum(possible) < 0.5


def test_every_alternative_gives_the_answer_when_executed():
    tasks = [
        Task(f"{task.id}-{number}", task.question, task.answer, "calculator", source={"program": path})
        for task in generate("test", 80, 3, 0)
        for number, path in enumerate(alternatives(task.source["program"]))
    ]
    assert len(tasks) > 60
    assert all(isinstance(outcome, Trajectory) for outcome in solve(tasks, build_teacher("oracle", 0.0, 0)))


def test_oracle_rejections():
    wrong = Task("a", "q", ("6",), "calculator", source={"program": [step("add", a=2, b=3)]})
    outcomes = solve([wrong, Task("b", "q", ("5",), "calculator")], build_teacher("oracle"))
    assert [outcome.reason for outcome in outcomes] == ["wrong_result", "no_program"]


def test_unknown_teacher():
    with pytest.raises(ConfigError, match="teacher.name=gpt: no such teacher, accepted: oracle, annotated"):
        build_teacher("gpt")
