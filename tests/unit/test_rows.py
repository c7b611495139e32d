"""mentor/rows.py and the task files read with it: what is loaded, and one clear line for what cannot be."""

import gzip
import json

import pytest

from mentor.errors import InputError
from mentor.rows import answer_field, parse_row
from mentor.tasks import load_tasks
from mentor.types import ToolCall

ROW = {"question": "What is 2 plus 3?", "answer": "5"}


def write(tmp_path, *rows, name="rows.jsonl"):
    path = tmp_path / name
    path.write_text("".join((row if isinstance(row, str) else json.dumps(row)) + "\n" for row in rows))
    return str(path)


def refusal(tmp_path, *rows, name="jsonl", **settings):
    with pytest.raises(InputError) as caught:
        load_tasks(name, path=write(tmp_path, *rows), **settings)
    assert "\n" not in str(caught.value) and caught.value.exit_code == 2
    return str(caught.value).replace(str(tmp_path) + "/", "")


def test_jsonl_answers_ids_and_references(tmp_path):
    calls = [
        {"name": "add", "arguments": {"a": 2, "b": 3}},
        {"type": "function", "function": {"name": "sqrt", "arguments": '{"x": 25}'}},
    ]
    path = write(
        tmp_path,
        {"id": 7, "question": "q", "answer": 70},
        "",
        {"question": "q", "answer": 27.0, "reference": calls},
        {"question": "q", "answer": ["NYC", "New York", 2.5], "reference": []},
    )
    first, second, third = load_tasks("jsonl", path=path, split="test")
    assert (first.id, first.answer, first.reference, first.split) == ("7", ("70",), None, "test")
    assert (second.id, second.answer) == ("rows-000001", ("27",))
    assert second.reference == (ToolCall("add", {"a": 2, "b": 3}), ToolCall("sqrt", {"x": 25}))
    assert (third.answer, third.reference) == (("NYC", "New York", "2.5"), ())


def test_keys_can_be_renamed(tmp_path):
    path = write(tmp_path, {"problem": "q", "gold": "5", "unique_id": "a/1.json", "calls": []})
    keys = {"question_key": "problem", "answer_key": "gold", "id_key": "unique_id", "reference_key": "calls"}
    (task,) = load_tasks("jsonl", path=path, **keys)
    assert (task.id, task.question, task.answer, task.reference) == ("a/1.json", "q", ("5",), ())


@pytest.mark.parametrize(
    ("bad", "message"),
    [
        ("[1, 2]", "rows.jsonl:2: a list ([1, 2]) instead of a row, accepted: one JSON object a line"),
        (
            "{'a': 1}",
            "rows.jsonl:2: not JSON (Expecting property name enclosed in double quotes at column 2), accepted:",
        ),
        ({"answer": "5"}, "rows.jsonl:2: no key 'question', given: 'answer'"),
        ({"question": "q"}, "rows.jsonl:2: no key 'answer', given: 'question'"),
        ({"question": " ", "answer": "5"}, "rows.jsonl:2: question is empty"),
        ({"question": 3, "answer": "5"}, "rows.jsonl:2: question is a number (3), accepted: a string"),
        ({"question": "q", "answer": True}, "rows.jsonl:2: answer is a boolean (true), accepted: a string or a number"),
        ({"question": "q", "answer": None}, "rows.jsonl:2: answer is null, accepted: a string or a number"),
        ({"question": "q", "answer": {"v": 1}}, 'rows.jsonl:2: answer is an object ({"v": 1}), accepted:'),
        ({"question": "q", "answer": []}, "rows.jsonl:2: answer is a list ([]), accepted:"),
        ({"question": "q", "answer": ["5", None]}, "rows.jsonl:2: answer is null, accepted:"),
        ('{"question": "q", "answer": NaN}', "rows.jsonl:2: answer is a number (NaN), accepted:"),
        ({**ROW, "id": 1.5}, "rows.jsonl:2: id is a number (1.5), accepted: a string or a whole number"),
        ({**ROW, "id": "first"}, "rows.jsonl:2: id 'first' was given before at rows.jsonl:1"),
        ({**ROW, "reference": {}}, "rows.jsonl:2: reference is an object ({}), accepted: a list of {name, arguments}"),
        ({**ROW, "reference": ["add"]}, 'rows.jsonl:2: reference[0] is a string ("add"), accepted: a list of {name'),
        (
            {**ROW, "reference": [{"name": "add", "arguments": "{2"}]},
            'rows.jsonl:2: reference[0].arguments is a string ("{2"): not JSON (Expecting',
        ),
        (
            {**ROW, "reference": [{"name": "add", "arguments": r'{"a": "\ud800"}'}]},
            r'rows.jsonl:2: reference[0].arguments is a string ("{\"a\": \"\\ud800\"}"): holds half of a surrogate',
        ),
        (
            {**ROW, "reference": [{"name": "add", "arguments": "[" * 100_000}]},
            "rows.jsonl:2: reference[0].arguments is",
        ),
        (
            {**ROW, "reference": [{"name": "add", "arguments": [2, 3]}]},
            "rows.jsonl:2: reference[0].arguments is a list ([2, 3]), accepted: an object",
        ),
    ],
)
def test_bad_rows_are_refused_in_one_line(tmp_path, bad, message):
    assert refusal(tmp_path, {**ROW, "id": "first"}, bad).startswith(message)


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


def test_unusable_files(tmp_path):
    whole = gzip.compress(b'{"question": "q", "answer": "5"}\n' * 500)
    (tmp_path / "cut.jsonl.gz").write_bytes(whole[:-30])
    (tmp_path / "plain.jsonl.gz").write_text("{}")
    (tmp_path / "empty.jsonl").write_text("\n \n")
    (tmp_path / "latin.jsonl").write_bytes(b'{"question": "caf\xe9"}')
    (tmp_path / "rows.parquet").write_text("not parquet")
    for name, words in {
        "cut.jsonl.gz": "corrupt gzip",
        "plain.jsonl.gz": "corrupt gzip",
        "empty.jsonl": "the file holds no rows",
        "latin.jsonl": "not UTF-8 text (byte 17)",
        "rows.parquet": "not a parquet file",
        "none.jsonl": "task.path=",
        ".": "a folder, accepted: a JSONL",
    }.items():
        with pytest.raises(InputError) as caught:
            load_tasks("jsonl", path=str(tmp_path / name))
        assert words in str(caught.value) and "\n" not in str(caught.value)


def test_parquet_rows(tmp_path):
    parquet = pytest.importorskip("pyarrow.parquet")
    import pyarrow

    parquet.write_table(pyarrow.Table.from_pylist([ROW, {**ROW, "answer": "6"}]), tmp_path / "rows.parquet")
    assert [task.answer for task in load_tasks("jsonl", path=str(tmp_path / "rows.parquet"))] == [("5",), ("6",)]


def test_missing_path_unknown_name_and_two_splits_of_a_file(tmp_path):
    with pytest.raises(
        InputError, match=r"^benchmark\.gsm8k\.task\.path is needed: a file of gsm8k rows or a hub name$"
    ):
        load_tasks("gsm8k", where="benchmark.gsm8k.task")
    with pytest.raises(InputError, match="task.name=maths: no such task, accepted: calculator, gsm8k, math, "):
        load_tasks("maths")
    with pytest.raises(InputError, match="one file is one split, given: test, ood"):
        load_tasks("jsonl", path=write(tmp_path, ROW), splits=["test", "ood"])


def test_hub_that_cannot_be_reached_is_one_line(monkeypatch):
    datasets = pytest.importorskip("datasets")
    monkeypatch.setattr(datasets.config, "HF_HUB_OFFLINE", True)
    with pytest.raises(
        InputError, match="task.path=nobody/no-such-set: neither a local file nor readable from the hub"
    ):
        load_tasks("gsm8k", path="nobody/no-such-set")


def test_generated_splits_in_the_order_asked_for():
    tasks = load_tasks("calculator", size=3, splits=["test", "long"])
    assert [task.split for task in tasks] == ["test"] * 3 + ["long"] * 3


def test_shared_math_files_load(shared):
    path = shared / "data/math/olympiadbench.jsonl"
    tasks = load_tasks("jsonl", path=str(path), answer_key="final_answer")
    assert len(tasks) == 675 and tasks[0].answer == ("2",)


@pytest.mark.parametrize(
    "line, reason",
    [
        (r'{"question": "\ud800", "answer": "1"}', "half of a surrogate pair"),
        ('{"question": "q", "answer": ' + "9" * 5000 + "}", "4300 digits"),
    ],
)
def test_json_that_python_cannot_hold_or_write_is_bad_input(line: str, reason: str) -> None:
    with pytest.raises(InputError, match=reason):
        parse_row(line, "rows.jsonl:1")


def test_an_integer_too_large_for_a_float_is_an_answer() -> None:
    assert answer_field({"answer": 10**400}, "answer", "rows.jsonl:1") == (str(10**400),)
