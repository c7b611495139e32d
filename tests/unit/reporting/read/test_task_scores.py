"""Scores by task of one evaluation, from its items."""

from pathlib import Path

import pytest

from mentor.errors import InputError
from mentor.reporting.read.task_scores import read_task_scores
from tests.fixtures.run_folder import evaluation_record, make_trajectory, write_lines


def test_shares_of_correct_answers_by_task_split_and_setting(tmp_path: Path) -> None:
    one, other = make_trajectory("a", split="test"), make_trajectory("b", split="test")
    items = [evaluation_record(one, correct=verdict) for verdict in (True, False, None)]
    items += [evaluation_record(other, correct=True), evaluation_record(one, "greedy", correct=False)]
    items.append(evaluation_record(one) | {"with_tools": False, "tokens": None})
    write_lines(tmp_path / "items.jsonl", items)
    found = read_task_scores(tmp_path / "items.jsonl", print)
    question = one.task.question
    sampled = found["test", "sampled"]
    assert sampled.scores() == {("a", question): 0.5, ("b", question): 1.0}, "an ungraded answer counts in neither"
    assert (sampled.correct, sampled.sampled_tokens) == (2, 8)
    assert found["test", "greedy"].scores() == {("a", question): 0.0}
    assert found["test", "sampled, without tools"].sampled_tokens is None


def test_a_record_that_is_no_item_is_named(tmp_path: Path) -> None:
    write_lines(tmp_path / "items.jsonl", [evaluation_record(make_trajectory()), {"task": {"split": "test"}}])
    with pytest.raises(InputError, match=r"items\.jsonl: record 2 is not a trajectory \(no key 'mode'\)"):
        read_task_scores(tmp_path / "items.jsonl", print)
