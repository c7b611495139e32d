"""mentor/teachers/estimate.py: requests by hand, tokens and money that grow as they should."""

import pytest

from mentor.teachers.estimate import RESULT_TOKENS, TYPICAL_CALLS, TYPICAL_TURN, estimate
from mentor.types import Task, ToolCall

CALL = ToolCall("add", {"a": 1, "b": 2})
BY_PROGRAM = Task("a", "q" * 400, ("1",), "calculator", source={"program": [{}, {}]})
BY_REFERENCE = Task("b", "q" * 400, ("1",), "calculator", reference=(CALL,))
UNKNOWN = Task("c", "q" * 400, ("1",), "calculator")


def of(*tasks, samples=1, max_turns=8, max_tokens=500, prices=(0.0, 0.0)):
    return estimate(tasks, lambda task: "[]", None, samples, max_turns, max_tokens, *prices)


@pytest.mark.parametrize(("task", "turns"), [(BY_PROGRAM, 3), (BY_REFERENCE, 2), (UNKNOWN, TYPICAL_CALLS + 1)])
def test_a_task_takes_a_turn_for_each_call_and_one_to_answer(task, turns):
    expected, most = of(task, samples=2)
    assert (expected.requests, most.requests) == (2 * turns, 16)
    assert expected.completion_tokens == 2 * turns * TYPICAL_TURN and most.completion_tokens == 16 * 500
    assert of(task, max_turns=1)[0].requests == 1


def test_a_turns_prompt_holds_the_turns_before_it():
    first = of(BY_REFERENCE, max_turns=1)[0].prompt_tokens
    assert 100 <= first <= 110, "400 characters are about 100 tokens"
    assert of(BY_REFERENCE)[0].prompt_tokens == 2 * first + TYPICAL_TURN + RESULT_TOKENS


def test_money_is_tokens_times_their_prices():
    expected, most = of(BY_PROGRAM, UNKNOWN, prices=(2.0, 8.0))
    for volume in (expected, most):
        assert volume.cost == pytest.approx((volume.prompt_tokens * 2 + volume.completion_tokens * 8) / 1e6)
    assert expected.cost < most.cost


def test_a_turn_without_a_limit_is_taken_as_a_long_one():
    assert of(UNKNOWN, max_tokens=None)[1].completion_tokens == 8 * 4096
    assert of(UNKNOWN, max_tokens=10)[0].completion_tokens == 10 * (TYPICAL_CALLS + 1)
