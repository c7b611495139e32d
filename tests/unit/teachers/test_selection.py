"""mentor/teachers/selection.py: call graphs by hand, which try is kept, evaluation questions found, coverage."""

from dataclasses import replace

import pytest

from mentor.teachers.selection import Contamination, call_graph, coverage, distinct, ranked
from mentor.types import CallError, CallRecord, StopReason, Task, Trajectory

QUESTION = "What is 3 plus 4, times 5, plus the root of 81?"


def make(*calls, question=QUESTION, text="done"):
    """A trajectory of (name, arguments, result) calls; a result of None failed."""
    messages = [{"role": "user", "content": question}]
    records = []
    for number, (name, arguments, result) in enumerate(calls):
        function = {"name": name, "arguments": arguments}
        messages.append({"role": "assistant", "content": "", "tool_calls": [{"id": f"{number}", "function": function}]})
        messages.append(
            {"role": "tool", "tool_call_id": f"{number}", "content": "failed" if result is None else result}
        )
        error = CallError.EXCEPTION if result is None else None
        records.append(CallRecord(number, name, arguments, error is None, error))
    messages.append({"role": "assistant", "content": text})
    return Trajectory(Task("t", question, ("1",), "calculator"), messages, "[]", StopReason.ANSWERED, records)


ADD = ("add", {"a": 3, "b": 4}, "7")
TIMES = ("multiply", {"a": 7, "b": 5}, "35")
ROOT = ("sqrt", {"x": 81}, "9")
SUM = ("add", {"a": 35, "b": 9}, "44")


def test_independent_calls_in_any_order_are_one_path():
    assert call_graph(make(ADD, TIMES, ROOT, SUM)) == call_graph(make(ROOT, ADD, TIMES, SUM))
    assert call_graph(make(ADD, ROOT, TIMES, SUM)) == call_graph(make(ADD, TIMES, ROOT, SUM))
    assert len(call_graph(make(ADD, TIMES, ROOT, SUM))) == 4


def test_results_before_the_question_are_no_results_of_its_calls():
    alone = make(ADD, TIMES)
    earlier = make(ROOT).messages
    task = replace(alone.task, earlier=tuple(earlier))
    assert call_graph(replace(alone, task=task, messages=[*earlier, *alone.messages])) == call_graph(alone)


def test_spelling_of_arguments_does_not_matter_and_values_do():
    same = make(("add", {"b": 4.0, "a": 3}, "7"), ("multiply", {"b": 5, "a": 7.0}, "35"))
    assert call_graph(same) == call_graph(make(ADD, TIMES))
    assert call_graph(make(("add", {"a": 4, "b": 3}, "7"))) != call_graph(make(ADD))
    assert call_graph(make(("add", {"a": 3, "b": 4}, "7"), ADD)) != call_graph(make(ADD)), "a repeated call counts"
    assert call_graph(make(("add", {"a": True, "b": 4}, "7"))) != call_graph(make(("add", {"a": 1, "b": 4}, "7")))


def test_a_result_passed_on_is_a_reference_to_the_call_that_made_it():
    other = ("sum_numbers", {"numbers": [3, 4]}, "7")
    by_add, by_sum = call_graph(make(ADD, TIMES)), call_graph(make(other, TIMES))
    assert set(by_add).isdisjoint(by_sum), "the second call builds on another first one"
    inside = [make(first, ("sum_numbers", {"numbers": [7, 1]}, "8")) for first in (ADD, other)]
    assert set(call_graph(inside[0])).isdisjoint(call_graph(inside[1])), "also inside a list"


def test_a_number_the_question_states_is_itself_though_a_call_gave_it_too():
    five = ("subtract", {"a": 9, "b": 4}, "5")
    assert call_graph(make(five, TIMES)) == call_graph(make(TIMES, five))


def test_failed_calls_are_no_part_of_a_path():
    assert call_graph(make(("add", {"a": "x"}, None), ADD)) == call_graph(make(ADD))


def test_which_try_is_kept():
    long, short, last = make(ADD, TIMES, text="d"), make(ADD, text="a" * 300), make(ROOT, text="b")
    assert ranked([long, short, last], "fewest_calls") == [short, last, long]
    assert ranked([long, short, last], "shortest") == [last, long, short]
    assert ranked([long, short, last], "first") == [long, short, last]
    with pytest.raises(ValueError, match="choose=best, accepted: fewest_calls, shortest, first"):
        ranked([], "best")


def test_one_of_each_path_is_kept_in_order():
    first, same, other = make(ADD, ROOT), make(ROOT, ADD), make(ADD)
    assert distinct([first, same, other]) == [first, other]


EVALUATION = "Tom has 12 apples and gives 5 of them to each of his 2 friends at school. How many are left?"


@pytest.mark.parametrize(
    ("question", "found"),
    [
        (EVALUATION, True),
        ("Hear this! TOM HAS 12 APPLES -- and gives 5 of them to each of his 9 brothers.", True),  # 13 words
        ("Tom has 12 apples and gives 5 of them to each of no one. How many are left?", False),  # 12 words
        ("what is 2 + 3", True),
        ("What is 2 plus 3", False),
        ("So tell me now please, what is 2 + 3", False),  # a short one is found whole only
        ("", False),
    ],
)
def test_tasks_like_an_evaluation_question_are_found(question, found):
    contamination = Contamination({"test.jsonl": [EVALUATION, "What is 2 + 3?"]})
    match = contamination.match(question)
    assert (match is not None) == found
    if match:
        assert match[0] == "test.jsonl" and set(match[1].split()) <= set(question.lower().replace("?", "").split())


def test_a_short_task_inside_a_long_evaluation_question_is_not_like_it():
    assert Contamination({"f": [EVALUATION]}).match("How many are left?") is None


def test_coverage_counts_what_ran():
    kept = [make(ADD, TIMES), make(ADD), make(("add", {}, None))]
    tasks = [Task(str(number), "q", ("1",), "calculator") for number in range(4)]
    assert coverage(kept, tasks, ["add", "multiply", "sqrt"]) == {
        "tools_unused": ["sqrt"],
        "calls_per_task": {"0": 1, "1": 1, "2": 1},
        "pass_rate": 0.75,
    }
