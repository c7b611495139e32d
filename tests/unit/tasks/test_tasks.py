"""The tasks of a configuration: names, splits and paths."""

import pytest

from mentor.errors import InputError
from mentor.tasks import load_tasks
from tests.unit.tasks.builders import ROW, write


def test_missing_path_unknown_name_and_two_splits_of_a_file(tmp_path):
    with pytest.raises(
        InputError, match=r"^benchmark\.gsm8k\.task\.path is needed: a file or folder of gsm8k rows, or a n"
    ):
        load_tasks("gsm8k", where="benchmark.gsm8k.task")
    with pytest.raises(InputError, match="task.name=maths: no such task, accepted: calculator, gsm8k, math, "):
        load_tasks("maths")
    with pytest.raises(InputError, match="one file is one split, given: test, ood"):
        load_tasks("jsonl", path=write(tmp_path, ROW), splits=["test", "ood"])


def test_generated_splits_in_the_order_asked_for():
    tasks = load_tasks("calculator", size=3, splits=["test", "long"])
    assert [task.split for task in tasks] == ["test"] * 3 + ["long"] * 3
