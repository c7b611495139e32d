import pytest

from mentor.evaluation.results import summarise
from mentor.evaluation.statistics import tool_similarity, wilson_interval
from mentor.types import (
    CallError,
)
from tests.fixtures.items import make_item


def test_rows_count_tasks_calls_and_stop_reasons():
    items = [
        make_item(True, calls=[("add", None)], task="a"),
        make_item(False, calls=[("add", CallError.EXCEPTION), (None, CallError.MALFORMED)], task="b"),
        make_item(None, calls=[], task="c", stop="length"),
    ]
    (row,) = summarise(items, {"test": "id", "long": "ood"})
    assert (row["split"], row["domain"], row["mode"], row["n"]) == ("test", "id", "greedy", 2)
    assert row["accuracy"] == 0.5 and row["ungraded"] == 1
    assert row["valid_call_rate"] == pytest.approx(2 / 3)  # a well-formed call whose tool failed is valid
    assert row["calls_per_answer"] == 1.0
    assert row["stop_reasons"] == {"answered": 2, "length": 1}
    assert row["tool_similarity"] == pytest.approx(1.0)
    assert row["tools"] == {"student": {"add": 1}, "teacher": {"add": 3}}


def test_calls_per_tool_are_those_the_similarity_is_made_from():
    items = [
        make_item(
            True, calls=[("add", None), ("add", None), ("divide", CallError.EXCEPTION)], reference=("add", "sqrt")
        ),
        make_item(True, calls=[("sqrt", None)], reference=None),  # no teacher: neither side counts
        make_item(False, calls=[("divide", None), ("plus", CallError.UNKNOWN_TOOL)], reference=()),
    ]
    (row,) = summarise(items, {"test": "id"})
    assert row["tools"] == {"student": {"add": 2, "divide": 1}, "teacher": {"add": 1, "sqrt": 1}}
    assert row["tool_similarity"] == tool_similarity(row["tools"]["student"], row["tools"]["teacher"])


def test_several_samples_of_a_task_do_not_narrow_the_interval():
    items = [make_item(i % 2 == 0, mode="sampled", task=f"t{i % 10}") for i in range(10)] * 8
    (row,) = summarise(items, {"test": "id"})
    assert row["trajectories"] == 80 and (row["low"], row["high"]) == pytest.approx(wilson_interval(5, 10))


def test_the_row_holds_the_tool_use_of_its_items():
    item = {**make_item(True, calls=[("add", None), ("add", CallError.EXCEPTION)]), "tokens": {"loss_mask": [0, 1, 1]}}
    (row,) = summarise([item], {"test": "id"})
    assert row["tool_use"] == {
        "tool_similarity": row["tool_similarity"],
        "bag_f1": pytest.approx(2 / 3),
        "set_f1": 1.0,
        "edit_distance": 0.5,
        "argument_agreement": 1.0,
        "never_diverges": 0.0,
        "first_divergent_turn": 1.0,
        "teacher_calls_per_answer": 1.0,
        "answers_with_calls": 1.0,
        "calls_per_correct": 2.0,
        "tokens_per_correct": 2.0,
        "invalid_malformed": 0.0,
        "invalid_unknown_tool": 0.0,
        "invalid_arguments": 0.0,
        "failed_calls": 0.5,
    }


def test_unknown_teacher_and_no_calls_are_missing_not_zero():
    (row,) = summarise([make_item(True, reference=None)], {"test": "id"})
    assert row["tool_similarity"] is None and row["valid_call_rate"] is None


def test_rows_hold_the_means_of_the_graders_scores_and_the_counts_of_its_reasons():
    judged = [
        make_item(True, task="a") | {"scores": {"em": 1.0, "f1": 1.0}, "reason": None},
        make_item(False, task="b") | {"scores": {"em": 0.0, "f1": 0.5}, "reason": "wrong_name"},
        make_item(False, task="c") | {"scores": {}, "reason": "wrong_name"},
    ]
    (row,) = summarise(judged, {"test": "id"})
    assert row["scores"] == {"em": 0.5, "f1": 0.75} and row["reasons"] == {"wrong_name": 2}


def test_sampled_rows_hold_pass_at_k_and_their_accuracy_is_avg_at_k():
    answers = {"a": [True, False, False, False, False, False], "b": [True, True, True, False, False, False]}
    items = [make_item(right, "sampled", task=task) for task, right6 in answers.items() for right in right6]
    (row,) = summarise(items, {"test": "id"})
    assert row["accuracy"] == pytest.approx((1 / 6 + 3 / 6) / 2)
    # a: 1/6, 1/3, 2/3, 1; b: 1/2, 1 - 3/15, 1 - 0/15, 1
    assert list(row["pass_at"]) == ["1", "2", "4", "6"]
    assert row["pass_at"] == pytest.approx({"1": 1 / 3, "2": (1 / 3 + 4 / 5) / 2, "4": (2 / 3 + 1) / 2, "6": 1.0})
    (greedy,) = summarise([make_item(True)], {"test": "id"})
    assert "pass_at" not in greedy


def test_an_ungraded_sample_is_no_wrong_one():
    items = [
        make_item(right, "sampled", task=task) for task, right in [("a", True), ("a", None), ("b", False), ("b", True)]
    ]
    (row,) = summarise(items, {"test": "id"})
    assert row["pass_at"] == pytest.approx({"1": 0.75, "2": 1.0})  # only b has two graded samples
    (none,) = summarise([make_item(None, "sampled")], {"test": "id"})
    assert none["pass_at"] == {}


def test_rows_with_tools_and_without_are_apart():
    items = [make_item(True), make_item(False, with_tools=False), make_item(True, "sampled", with_tools=False)]
    rows = summarise(items, {"test": "id"})
    assert [(row["mode"], row["with_tools"], row["accuracy"]) for row in rows] == [
        ("greedy", True, 1.0),
        ("greedy", False, 0.0),
        ("sampled", False, 1.0),
    ]
