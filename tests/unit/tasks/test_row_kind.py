"""Columns by path, rows that are no tasks, and a row's own system message and tools."""

import json

import pytest

from mentor.errors import InputError
from mentor.tasks import load_tasks
from mentor.tasks.row_kind import SHOWN
from mentor.types import ToolCall
from tests.unit.tasks.builders import ROW, refusal, write

SCHEMA = {"name": "stock", "description": "Pieces.", "parameters": {"type": "object", "properties": {}}}


def bad_rows(count):
    return [{"question": "q", "answer": " "}] * count


def test_all_bad_rows_are_counted_and_the_first_named(tmp_path):
    assert refusal(tmp_path, ROW, *bad_rows(1), ROW, "[]") == (
        'rows.jsonl:2: answer is a string (" "), accepted: a string or a number, or a list of them; '
        "rows.jsonl:4: a list ([]) instead of a row, accepted: one JSON object a line "
        "(2 of 4 rows cannot be used; task.bad_rows=skip leaves them out)"
    )
    many = refusal(tmp_path, ROW, *bad_rows(SHOWN + 3), where="benchmark.mine.task")
    assert many.count("answer is a string") == SHOWN
    assert many.endswith(
        "; and 3 more (13 of 14 rows cannot be used; benchmark.mine.task.bad_rows=skip leaves them out)"
    )
    assert refusal(tmp_path, *bad_rows(2), bad_rows="skip").endswith("(2 of 2 rows cannot be used)")


def test_bad_rows_are_left_out_and_listed(tmp_path):
    skipped: list[str] = []
    tasks = load_tasks("jsonl", write(tmp_path, ROW, *bad_rows(1), "{", ROW), bad_rows="skip", skipped=skipped)
    assert [task.id for task in tasks] == ["rows-000000", "rows-000002"]
    assert [line.replace(f"{tmp_path}/", "")[:13] for line in skipped] == ["rows.jsonl:2:", "rows.jsonl:3:"]


@pytest.mark.parametrize("name", ["jsonl", "math", "multihop_qa", "rl_rows"])
def test_every_kind_reads_the_columns_that_are_named(tmp_path, name):
    row = {
        "extra": json.dumps({"asked": "What?", "uid": 3}),
        "gold": [{"value": "five"}],
        "made": '[{"name": "stock", "arguments": {"a": 1}}]',
        "own": [SCHEMA],
        "rules": "Be brief.",
    }
    columns = {
        **{"question": "extra.asked", "answer": "gold.0.value", "id": "extra.uid"},
        **{"reference": "made", "tools": "own", "system": "rules"},
    }
    (task,) = load_tasks(name, write(tmp_path, row), columns=columns)
    assert (task.id, task.question, task.answer) == ("3", "What?", ("five",))
    assert task.reference == (ToolCall("stock", {"a": 1}),)
    assert task.earlier == ({"role": "system", "content": "Be brief."},)
    assert [schema["function"]["name"] for schema in task.tools.schemas] == ["stock"]


def test_a_named_column_that_is_missing_is_bad(tmp_path):
    message = refusal(tmp_path, {**ROW, "asked": None}, columns={"question": "extra.asked"})
    assert message.startswith("rows.jsonl:1: no key 'extra.asked', given: 'question', 'answer', 'asked'")


def test_a_rows_own_tools_are_read_or_refused(tmp_path):
    (task,) = load_tasks("jsonl", write(tmp_path, {**ROW, "tools": json.dumps([SCHEMA])}))
    assert task.tools.env is None and task.tools.schemas[0]["function"]["name"] == "stock"
    for nothing in (None, "", [], "[]"):
        assert load_tasks("jsonl", write(tmp_path, {**ROW, "tools": nothing}))[0].tools is None
    for name in ("jsonl", "math", "multihop_qa"):
        assert "rows.jsonl:1: tool schema calculator is not JSON" in refusal(
            tmp_path, {**ROW, "tools": ["calculator"]}, name=name
        )
    path = write(tmp_path, {**ROW, "tools": "calculator"})
    with pytest.raises(InputError, match="tools is not JSON"):
        load_tasks("jsonl", path)
    assert load_tasks("jsonl", path, columns={"tools": ""})[0].tools is None, "an empty path reads nothing"


def test_a_system_text_beside_the_question_or_before_it(tmp_path):
    asked = [{"role": "system", "content": "Be kind."}, {"role": "user", "content": "Hello?"}]
    beside, before = load_tasks("jsonl", write(tmp_path, {**ROW, "system": "Be brief."}, {**ROW, "question": asked}))
    assert [task.earlier[0]["content"] for task in (beside, before)] == ["Be brief.", "Be kind."]
    assert before.question == "Hello?"
    assert "rows.jsonl:1: two system messages" in refusal(tmp_path, {**ROW, "system": "A", "question": asked})
