"""Rows of results with what their items add."""

from pathlib import Path

import pytest

from mentor.errors import RunFolderError
from mentor.reporting.read.evaluations import read_evaluations
from tests.fixtures.run_folder import evaluation_record, make_row, make_trajectory, write_eval, write_lines


def test_rows_tokens_and_scores_of_one_evaluation(tmp_path: Path) -> None:
    folder = write_eval(tmp_path, "m", make_row(0.5, 0.4, 0.6, tool_use={"bag_f1": 0.25}))
    items = [evaluation_record(make_trajectory(name, split="test"), correct=name == "a") for name in "ab"]
    write_lines(folder / "items.jsonl", items)
    missing: list[str] = []
    [result], [record], scores = read_evaluations(tmp_path, missing)
    assert (result.model, result.benchmark, result.folder) == ("m", "calculator", "eval/m/calculator")
    assert (result.correct, result.sampled_tokens, result.tool_use) == (1, 4, {"bag_f1": 0.25})
    assert (record.folder, record.correct, record.sampled_tokens) == ("eval/m/calculator", 1.0, 4.0)
    assert sorted(scores["m", "calculator", "test", "sampled"].values()) == [0.0, 1.0]
    assert missing == []


def test_a_row_without_a_key_is_named(tmp_path: Path) -> None:
    row = make_row(0.5, 0.4, 0.6)
    del row["high"]
    write_eval(tmp_path, "m", row)
    with pytest.raises(RunFolderError, match=r"m/calculator/summary\.json: a row of `results` has no 'high'"):
        read_evaluations(tmp_path, [])
