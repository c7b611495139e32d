import pytest

from mentor.evaluation.tool_use import AnsweredCalls, edit_distance, first_divergent_turn, shared_calls, tool_use
from mentor.types import (
    CallError,
    CallRecord,
    NamedCall,
    ToolCall,
)


def made(*calls, error=None):
    """Calls of one turn each: a name, or (name, arguments)."""
    pairs = [(call, {}) if isinstance(call, str) else call for call in calls]
    return [CallRecord(turn, name, arguments, error is None, error) for turn, (name, arguments) in enumerate(pairs)]


def taught(*calls):
    pairs = [(call, {}) if isinstance(call, str) else call for call in calls]
    return [ToolCall(name, arguments) for name, arguments in pairs]


@pytest.mark.parametrize(
    "student, teacher, expected",
    [
        ("", "", 0.0),
        ("a", "", 1.0),
        ("", "ab", 1.0),
        ("abc", "abc", 0.0),
        ("abc", "axc", 1 / 3),  # one replaced
        ("abc", "ac", 1 / 3),  # one removed
        ("bc", "abcd", 2 / 4),  # two inserted
        ("ab", "ba", 1.0),  # swapped: two replaced of two
        ("kitten", "sitting", 3 / 7),
    ],
)
def test_edit_distance(student, teacher, expected):
    assert edit_distance(made(*student), taught(*teacher)) == pytest.approx(expected)


def test_a_failed_call_is_an_edit():
    failed = made("a", error=CallError.EXCEPTION)
    assert edit_distance(failed, taught("a")) == 1.0
    assert edit_distance([*failed, *made("a")], taught("a")) == 0.5  # it is removed


@pytest.mark.parametrize(
    "student, teacher, expected",
    [
        ("", "", None),
        ("ab", "ab", None),
        ("", "a", 1),  # it answered at once
        ("ab", "xb", 1),
        ("ab", "ax", 2),
        ("abc", "ab", 3),  # one too many
        ("ab", "abc", 3),  # it stopped early: the turn in which it did not call
        ("a", "", 1),
    ],
)
def test_first_divergent_turn_counts_the_students_turns_from_1(student, teacher, expected):
    assert first_divergent_turn(made(*student), taught(*teacher)) == expected


def test_calls_of_one_turn_diverge_in_that_turn():
    student = [CallRecord(0, "a", {}, True), CallRecord(0, "b", {}, True), CallRecord(1, "c", {}, True)]
    assert first_divergent_turn(student, taught("a", "x", "c")) == 1
    assert first_divergent_turn(student, taught("a", "b", "x")) == 2
    assert first_divergent_turn(student, taught("a", "b", "c")) is None
    failed = [CallRecord(0, "a", {}, True), CallRecord(1, "b", {}, False, CallError.TIMEOUT)]
    assert first_divergent_turn(failed, taught("a", "b")) == 2


def test_arguments_agree_by_value_in_any_order_each_call_once():
    student = made(("add", {"x": 2}), ("add", {"x": 1}), ("sqrt", {"x": 4.0}), ("sqrt", {"x": 4}))
    teacher = taught(("add", {"x": 1}), ("add", {"x": 3}), ("sqrt", {"x": 4}))
    assert shared_calls(student, teacher) == (2, 3)  # add 1 and one sqrt of 4; by name two add and one sqrt
    assert shared_calls(made(("add", {"x": True})), taught(("add", {"x": 1}))) == (0, 1)
    assert shared_calls(student, [NamedCall("add")]) == (0, 0)  # its arguments are not known
    assert shared_calls(made(("add", {"x": 1}), error=CallError.CRASH), teacher) == (0, 0)


def test_tool_use_of_three_answers():
    malformed = CallRecord(0, None, {}, False, CallError.MALFORMED)
    unknown = CallRecord(1, "plus", {}, False, CallError.UNKNOWN_TOOL)
    answers = [
        AnsweredCalls(made(("add", {"x": 1}), "sqrt"), taught(("add", {"x": 2}), "sqrt"), 1.0, 30),
        AnsweredCalls([malformed, unknown], taught("add"), 0.0, 20),
        AnsweredCalls(made("sqrt", error=CallError.TIMEOUT), None, None, 50),  # no reference, not graded
    ]
    assert tool_use(answers) == {
        "tool_similarity": pytest.approx(0.97928, abs=1e-5),  # (1/2, 1/2) against (2/3, 1/3)
        "bag_f1": 0.5,  # 1 and 0
        "set_f1": 0.5,
        "edit_distance": 0.5,  # 0 and 2 edits of 2
        "argument_agreement": 0.5,  # add 1 for add 2, and sqrt
        "never_diverges": 0.5,
        "first_divergent_turn": 1.0,
        "teacher_calls_per_answer": 1.5,
        "answers_with_calls": 1.0,
        "calls_per_correct": 4.0,
        "tokens_per_correct": 50.0,
        "invalid_malformed": 0.2,
        "invalid_unknown_tool": 0.2,
        "invalid_arguments": 0.0,
        "failed_calls": 0.2,
    }


def test_what_there_is_nothing_of_is_missing():
    alone = tool_use([AnsweredCalls([], None, 0.0, 10)])
    assert {name for name, value in alone.items() if value is not None} == {"answers_with_calls"}
    assert alone["answers_with_calls"] == 0.0
    numbers = tool_use([AnsweredCalls([], [], 1.0, None)])  # the teacher used no tool either; tokens were not recorded
    assert {name for name, value in numbers.items() if value is not None} == {
        "bag_f1", "set_f1", "edit_distance", "never_diverges", "teacher_calls_per_answer", "answers_with_calls",
        "calls_per_correct",
    }  # fmt: skip
    assert (numbers["bag_f1"], numbers["edit_distance"], numbers["never_diverges"]) == (1.0, 0.0, 1.0)
