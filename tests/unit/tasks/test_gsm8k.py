"""GSM8K rows: gold numbers, worked answers, files and hub names."""

import gzip
import json

from mentor.tasks import load_tasks
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
    assert message.startswith("rows.jsonl:1: answer ends in 'It is 5.', accepted: a worked answer with '#### <number>'")


def test_a_named_column_holds_the_worked_answer(tmp_path):
    path = tmp_path / "train.jsonl"
    path.write_text(json.dumps({"asked": "How many?", "info": {"worked": "2. #### 2"}}))
    columns = {"question": "asked", "answer": "info.worked"}
    (task,) = load_tasks("gsm8k", path=str(path), columns=columns)
    assert (task.question, task.answer, task.source) == ("How many?", ("2",), {"solution": "2. #### 2"})
