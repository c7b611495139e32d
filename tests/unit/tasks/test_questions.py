"""Rows with a question and an answer under any keys."""

import json

import pytest

from mentor.tasks import load_tasks
from mentor.types import ToolCall
from tests.unit.tasks.builders import ROW, refusal, write


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


def test_a_reference_may_be_json_text(tmp_path):
    calls = [{"name": "double", "arguments": {"n": 6}}, {"function": {"name": "sqrt", "arguments": '{"x": 144}'}}]
    rows = [{"question": "q", "answer": 12, "reference": text} for text in (json.dumps(calls), "[]", "null")]
    given, none, missing = load_tasks("jsonl", path=write(tmp_path, *rows))
    assert given.reference == (ToolCall("double", {"n": 6}), ToolCall("sqrt", {"x": 144}))
    assert none.reference == ()
    assert missing.reference is None


def test_keys_can_be_renamed(tmp_path):
    path = write(tmp_path, {"problem": "q", "gold": "5", "unique_id": "a/1.json", "calls": []})
    columns = {"question": "problem", "answer": "gold", "id": "unique_id", "reference": "calls"}
    (task,) = load_tasks("jsonl", path=path, columns=columns)
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
        ({"question": 3, "answer": "5"}, "rows.jsonl:2: question is a number (3), accepted: text, or a"),
        ({"question": "q", "answer": True}, "rows.jsonl:2: answer is a boolean (true), accepted: a string or a number"),
        ({"question": "q", "answer": None}, "rows.jsonl:2: answer is null, accepted: a string or a number"),
        ({"question": "q", "answer": {"v": 1}}, 'rows.jsonl:2: answer is an object ({"v": 1}), accepted:'),
        ({"question": "q", "answer": []}, "rows.jsonl:2: answer is a list ([]), accepted:"),
        ({"question": "q", "answer": ["5", None]}, "rows.jsonl:2: answer is null, accepted:"),
        ('{"question": "q", "answer": NaN}', "rows.jsonl:2: answer is a number (NaN), accepted:"),
        ({**ROW, "id": 1.5}, "rows.jsonl:2: id is a number (1.5), accepted: a string or a whole number"),
        ({**ROW, "id": "first"}, "rows.jsonl:2: id 'first' was given before at rows.jsonl:1"),
        ({**ROW, "reference": {}}, "rows.jsonl:2: reference is an object ({}), accepted: a list of {name, arguments}"),
        ({**ROW, "reference": "add(9, 4)"}, 'rows.jsonl:2: reference is a string ("add(9, 4)"): not JSON'),
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


def test_shared_math_files_load(shared):
    path = shared / "data/math/olympiadbench.jsonl"
    tasks = load_tasks("jsonl", path=str(path), columns={"answer": "final_answer"})
    assert len(tasks) == 675 and tasks[0].answer == ("2",)
