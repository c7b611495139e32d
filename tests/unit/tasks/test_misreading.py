"""Questions read wrongly: calls kept at the share of the skill, and misread ones that still run."""

import random

import pytest

from mentor.tasks import load_tasks
from mentor.tasks.calculator import exact_result
from mentor.tasks.misreading import misread
from mentor.tasks.programs import HELD_OUT_PAIRS, Program, evaluate, reference, resolve_arguments, step, tool_pairs


@pytest.fixture(scope="module")
def programs() -> list[Program]:
    tasks = load_tasks("calculator", split="pretrain", size=400, max_steps=3, seed=0)
    return [task.source["program"] for task in tasks]


def misread_all(programs: list[Program], skill: float, seed: int = 0) -> list[Program]:
    rng = random.Random(seed)
    return [misread(program, skill, rng) for program in programs]


def test_full_skill_keeps_every_call(programs):
    assert misread_all(programs, 1.0) == programs


@pytest.mark.parametrize("skill", [0.2, 0.5, 0.9])
def test_the_skill_is_the_share_of_first_calls_that_are_kept(programs, skill):
    kept = sum(read[0] == program[0] for program, read in zip(programs, misread_all(programs, skill), strict=True))
    assert kept / len(programs) == pytest.approx(skill, abs=0.07)  # 2.8 standard errors at 0.5


def test_without_skill_only_the_absolute_value_of_a_negative_result_is_kept(programs):
    for program, read in zip(programs, misread_all(programs, 0.0), strict=True):
        results = [0, *evaluate(read)]
        kept = [index for index, (call, other) in enumerate(zip(program, read, strict=True)) if call == other]
        assert all(program[index]["name"] == "abs_value" and results[index] < 0 for index in kept)


def test_misread_calls_name_other_tools_or_have_other_numbers(programs):
    pairs = [(program[0], read[0]) for program, read in zip(programs, misread_all(programs, 0.0), strict=True)]
    same_tool = sum(call["name"] == other["name"] for call, other in pairs) / len(pairs)
    assert 0.4 < same_tool < 0.75, "half of them, and some of the drawn tools are the same by chance"


@pytest.mark.parametrize("skill", [0.0, 0.6])
def test_what_was_misread_runs_and_its_results_are_short(programs, skill):
    for read in misread_all(programs, skill):
        results = evaluate(read)
        for index, call in enumerate(read):
            assert exact_result(call["name"], resolve_arguments(call, results[:index])) == results[index]
            assert abs(results[index]) <= 99_999
        assert not tool_pairs(read) & HELD_OUT_PAIRS


def test_a_call_that_cannot_follow_what_was_misread_is_misread_too():
    program = [step("add", a=20, b=5), step("sqrt", x=reference(0))]

    read = [path for path in misread_all([program] * 200, 0.5) if path[0] != program[0]]
    roots = [evaluate(path) for path in read if path[1] == program[1]]
    assert 0 < len(roots) < len(read) / 2 and all(root * root == total for total, root in roots)


def test_the_same_draws_give_the_same_reading(programs):
    assert misread_all(programs, 0.3) == misread_all(programs, 0.3) != misread_all(programs, 0.3, seed=1)
