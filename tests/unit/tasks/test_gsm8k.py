"""GSM8K rows: gold numbers, worked answers, files and hub names."""

import gzip
import json

import pytest

from mentor.errors import InputError
from mentor.tasks import load_tasks
from mentor.tasks.gsm8k import is_hub_name
from tests.unit.tasks.builders import refusal


def test_gsm8k_answers_and_solution(tmp_path):
    solution = "He has 2*1000 = <<2*1000=2000>>2,000.\n#### 2,000"
    path = tmp_path / "train.jsonl.gz"
    path.write_bytes(gzip.compress(json.dumps({"question": "How many?", "answer": solution}).encode()))
    (task,) = load_tasks("gsm8k", path=str(path))
    assert (task.id, task.answer, task.toolset) == ("train-000000", ("2000",), "calculator")
    assert task.source == {"solution": solution}


def test_gsm8k_row_without_gold_number(tmp_path):
    message = refusal(tmp_path, {"question": "q", "answer": "It is 5."}, name="gsm8k")
    assert message == "rows.jsonl:1: answer ends in 'It is 5.', accepted: a worked answer with '#### <number>'"


def test_hub_that_cannot_be_reached_is_one_line(monkeypatch):
    datasets = pytest.importorskip("datasets")
    monkeypatch.setattr(datasets.config, "HF_HUB_OFFLINE", True)
    with pytest.raises(
        InputError, match="task.path=nobody/no-such-set: neither a local file nor readable from the hub"
    ):
        load_tasks("gsm8k", path="nobody/no-such-set")


def test_what_is_a_hub_name(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "openai").mkdir()
    (tmp_path / "openai" / "here").touch()
    names = ["openai/gsm8k", "openai/here", "data/train.jsonl", "/data/gsm8k", "gsm8k"]
    assert [is_hub_name(name) for name in names] == [True, False, False, False, False]
