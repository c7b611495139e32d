"""The matcher `results` by hand: the share of the teacher's results, the last of them counted by precision."""

import pytest

from mentor.rewards.result_match import Value, same_results, teacher_results
from mentor.types import CallError, CallRecord, NamedCall, ToolCall


def taught(name: str, result: str | None, **arguments) -> ToolCall:
    return ToolCall(name, arguments, result)


def made(name: str, result: str | None, **arguments) -> CallRecord:
    """A student's call; one without a result failed."""
    error = CallError.EXCEPTION if result is None else None
    return CallRecord(0, name, arguments, error is None, error, result=result)


# 8 + 69 = 77, 77 + 71 = 148, 148 + 32 = 180
TEACHER = [taught("add", "77", a=8, b=69), taught("add", "148", a=77, b=71), taught("add", "180", a=148, b=32)]
STUDENT = [made(call.name, call.result, **call.arguments) for call in TEACHER]
FIRST, SECOND, THIRD = STUDENT
FAILED = made("divide", None, a=1, b=0)


@pytest.mark.parametrize(
    ("student", "expected"),
    [
        (STUDENT, 1),
        ([FIRST, SECOND], 2 / 3),
        ([FIRST], 1 / 3),
        ([], 0),
        # other tools, other arguments, the same results
        ([made("sum_numbers", "77.0", numbers=[69, 8]), made("subtract", "148", a=77, b=-71), THIRD], 1),
        # the first sum left out, or another result in its place
        ([made("sum_numbers", "148", numbers=[8, 69, 71]), THIRD], 2 / 3),
        ([made("add", "140", a=69, b=71), made("add", "148", a=140, b=8), THIRD], 2 / 3),
        # the chain from its end: only 77 does not stand before what it was made from
        ([THIRD, SECOND, FIRST], 1 / 3),
        # 180 before 77, and 148 missing: 180 was made from 77 too
        ([THIRD, FIRST], 1 / 3),
        # 180 again once it can be: repeats do not undo the order
        ([THIRD, FIRST, SECOND, THIRD], 2 / 3),
        ([*STUDENT, FIRST], 11 / 12),  # (2 + 3 / 4) / 3
        (STUDENT * 5, 11 / 15),  # (2 + 3 / 15) / 3
        ([FIRST, FAILED, SECOND, FAILED, THIRD], 13 / 15),  # (2 + 3 / 5) / 3
        # two results, and no call costs anything before the third
        ([FIRST, FAILED, SECOND, *[FAILED] * 9], 2 / 3),
        ([made("add", None, a=8, b=69), made("add", None, a=77, b=71)], 0),
        ([made("add", "9", a=4, b=5)] * 3, 0),
    ],
)
def test_chains_by_hand(student: list[CallRecord], expected: float) -> None:
    assert same_results(student, TEACHER) == pytest.approx(expected)


@pytest.mark.parametrize("done", [1, 2])
def test_a_try_costs_nothing_while_a_result_is_missing(done: int) -> None:
    stop, hit, miss = (same_results([*STUDENT[:done], *more], TEACHER) for more in ([], [STUDENT[done]], [FAILED]))
    assert stop == miss < hit


def test_independent_steps_may_swap() -> None:
    # 3 * 4 = 12, 5 * 4 = 20, 12 + 20 = 32
    teacher = [taught("multiply", "12", a=3, b=4), taught("multiply", "20", a=5, b=4), taught("add", "32", a=12, b=20)]
    first, second, last = (made(call.name, call.result, **call.arguments) for call in teacher)
    assert same_results([second, first, last], teacher) == 1
    assert same_results([first, last, second], teacher) == pytest.approx(2 / 3)  # 32 before 20
    assert [sorted(result.needs) for result in teacher_results(teacher)] == [[], [], [0, 1]]


def test_dividing_by_two_is_multiplying_by_a_half() -> None:
    teacher = [taught("divide", "4", a=8, b=2), taught("add", "9", a=4, b=5)]
    assert same_results([made("multiply", "4.0", a=8, b=0.5), made("add", "9.0", a=5, b=4)], teacher) == 1


@pytest.mark.parametrize(
    "guess",
    [
        made("add", "77", a=77, b=0),
        made("multiply", "77.0", a=1, b=77.0),
        made("sum_numbers", "77", numbers=[77]),
        made("round_number", "77", x=77, digits=2),
        made("add", "77", a="77", b=0),
    ],
)
def test_a_result_that_was_passed_in_is_not_earned(guess: CallRecord) -> None:
    assert same_results([guess], TEACHER) == 0
    assert same_results([guess, *STUDENT], TEACHER) == pytest.approx(11 / 12)  # and costs a call: (2 + 3 / 4) / 3


def test_a_call_may_return_its_argument_where_it_takes_what_the_teacher_took() -> None:
    # 10 - 5 = 5 returns an argument of its own; so do the teacher's absolute value of 7 and 0 - 64
    teacher = [taught("subtract", "5", a=10, b=5)]
    assert same_results([made("subtract", "5", a=10, b=5)], teacher) == 1
    assert same_results([made("add", "5", a=10, b=-5)], teacher) == 1
    assert same_results([made("add", "5", a=5, b=0)], teacher) == 0
    teacher = [taught("modulo", "0", a=72, b=6), taught("subtract", "-64", a=0, b=64)]
    assert same_results([made("modulo", "0", a=72, b=6), made("add", "-64", a=0, b=-64)], teacher) == 1
    assert same_results([made("multiply", "-64", a=-64, b=1)], teacher) == 0
    assert same_results([made("add", "9", a=9, b=0)], [taught("now", "9")]) == 0  # it took nothing


def test_the_teachers_own_repeats_are_forgiven_and_not_asked_for() -> None:
    teacher = [taught("add", "8", a=5, b=3), taught("multiply", "8", a=2, b=4), taught("add", "10", a=8, b=2)]
    add, multiply, last = (made(call.name, call.result, **call.arguments) for call in teacher)
    assert same_results([add, multiply, last], teacher) == 1  # two results in 3 - 1 calls
    assert same_results([multiply, last], teacher) == 1
    assert same_results([add, add, add, last], teacher) == pytest.approx(5 / 6)  # (1 + 2 / (4 - 1)) / 2
    assert same_results([add, FAILED, last], teacher) == pytest.approx(5 / 6)  # a failure is no repeat


def test_unknown_results_match_nothing() -> None:
    assert same_results([made("add", "3", a=1, b=2)], [NamedCall("add")]) == 0
    assert same_results([], []) == 1


@pytest.mark.parametrize(
    ("ours", "theirs", "same"),
    [
        ("70", "70.0", True),
        (70, " 70 ", True),
        ("7e1", "70", True),
        ("0.3333333333333333", "0.33333333333333337", True),
        ("1e+20", "100000000000000000000", True),
        ("70", "70.1", False),
        ("Lima ", "Lima", True),
        ("Lima", "lima", False),
        ("inf", "inf", True),
        ("", "0", False),
    ],
)
def test_values(ours, theirs, same: bool) -> None:
    assert Value.read(ours).equals(Value.read(theirs)) is same
