"""Rows of verl, ReCall and MENTOR, as files and as the objects or JSON texts their trainers accept."""

import json

import pyarrow
import pyarrow.parquet
import pytest

from mentor.errors import InputError
from mentor.tasks import load_tasks
from mentor.tasks.rl_rows import unboxed
from mentor.types import NamedCall, Task

SCHEMA = {
    "type": "function",
    "function": {
        "name": "add",
        "description": "Add.",
        "parameters": {"type": "object", "properties": {"a": {"type": "number"}}, "required": ["a"]},
    },
}
ENV = "URL = '<search-url-placeholder>/search'\n\ndef add(a):\n    return a\n"
VERL = {
    "data_source": "openai/gsm8k",
    "prompt": [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "6*7?"}],
    "reward_model": {"style": "rule", "ground_truth": "42"},
    "extra_info": {"split": "train", "index": 0},
}
RECALL = {
    "data_source": "musique_re_call",
    "question": "Who?",
    "reward_model": {"style": "rule", "ground_truth": ["A", "B"]},
    "extra_info": {"id": "2hop__1", "env": ENV, "func_schemas": json.dumps([SCHEMA], indent=4)},
}
MENTOR = {
    "question": "What is 6*7+8?",
    "reward_model": json.dumps({"ground_truth": ["\\boxed{50}"], "style": "rule"}),
    "extra_info": json.dumps({"env": ENV, "func_schemas": [SCHEMA], "index": 0}),
    "tool_calls_used": '["multiply", "add"]',
}


def load(tmp_path, *rows: dict, **options) -> list[Task]:
    path = tmp_path / "rows.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return load_tasks("rl_rows", str(path), **options)


def test_the_three_kinds_in_one_file(tmp_path):
    verl, recall, mentor = load(tmp_path, VERL, RECALL, MENTOR, placeholders=["<search-url-placeholder>=http://x"])
    assert (verl.id, verl.question, verl.answer, verl.tools) == ("rows-000000", "6*7?", ("42",), None)
    assert verl.earlier == ({"role": "system", "content": "Be brief."},)
    assert (recall.id, recall.answer, recall.reference) == ("2hop__1", ("A", "B"), None)
    assert recall.tools.env.startswith("URL = 'http://x/search'") and recall.tools.schemas == [SCHEMA]
    assert mentor.answer == ("50",) and mentor.reference == (NamedCall("multiply"), NamedCall("add"))
    assert mentor.tools.schemas == [SCHEMA]
    for task in (verl, recall, mentor):
        again = Task.from_dict(json.loads(json.dumps(task.to_dict())))
        assert (again.tools, again.reference) == (task.tools, task.reference)


def test_parquet_rows_lose_the_nulls_of_other_rows(tmp_path):
    other = json.loads(json.dumps(SCHEMA))
    other["function"]["parameters"]["properties"] = {"numbers": {"type": "array", "items": {"type": "number"}}}
    other["function"]["name"], other["function"]["parameters"]["required"] = "total", ["numbers"]
    row = {"question": "q", "reward_model": {"ground_truth": "1"}, "extra_info": {"func_schemas": [SCHEMA, other]}}
    path = tmp_path / "rows.parquet"
    pyarrow.parquet.write_table(pyarrow.Table.from_pylist([row]), path)
    (task,) = load_tasks("rl_rows", str(path))
    assert task.tools.schemas == [SCHEMA, other] and task.tools.env is None


def test_real_rows_load_equally_from_both_file_types(shared):
    folder = shared / "data" / "multihop_qa"
    jsonl, parquet = (
        load_tasks("rl_rows", str(folder / f"bamboogle_test.verl.{suffix}")) for suffix in ("jsonl", "parquet")
    )
    assert jsonl == parquet and len(jsonl) == 125 and jsonl[0].answer == ("james madison",)
    for name, count in (("hotpotqa_dev_0000-0199", 200), ("2wikimultihopqa_dev_0000-0199", 200)):
        assert len(load_tasks("rl_rows", str(folder / f"{name}.verl.parquet"))) == count


def test_an_id_of_null_leaves_the_rows_own(tmp_path):
    path = tmp_path / "rows.jsonl"
    row = {"id": "mine", "question": "q", "reward_model": {"ground_truth": "1"}, "extra_info": {"id": None}}
    path.write_text(json.dumps(row))
    assert load_tasks("rl_rows", str(path))[0].id == "mine"


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"question": None}, r"rows.jsonl:1: no question"),
        ({"question": 3}, r"rows.jsonl:1: the question is a number \(3\)"),
        ({"reward_model": None}, r"rows.jsonl:1: no reward_model"),
        ({"reward_model": "{"}, r"rows.jsonl:1: reward_model is a string .* not JSON"),
        ({"reward_model": r'{"ground_truth": "\ud800"}'}, "rows.jsonl:1: reward_model is .* half of a surrogate pair"),
        ({"question": None, "prompt": "q"}, r'rows.jsonl:1: prompt is a string \("q"\), accepted: a list of'),
        ({"id": [1]}, r"rows.jsonl:1: id is a list"),
        ({"reward_model": {"ground_truth": []}}, r"rows.jsonl:1: reward_model: ground_truth is a list"),
        ({"extra_info": [1]}, r"rows.jsonl:1: extra_info is a list"),
        ({"extra_info": {"func_schemas": "no"}}, r"rows.jsonl:1: extra_info.func_schemas is a string .* not JSON"),
        ({"extra_info": {"func_schemas": [1]}}, r"rows.jsonl:1: extra_info: tool schema 1 is not one"),
        ({"extra_info": {"func_schemas": [SCHEMA], "env": 1}}, r"rows.jsonl:1: extra_info.env is a number"),
        ({"tool_calls_used": "add"}, r"rows.jsonl:1: tool_calls_used is a string .* not JSON"),
        ({"tool_calls_used": [1]}, r"rows.jsonl:1: tool_calls_used is a list"),
    ],
)
def test_a_row_that_cannot_be_used_is_named(tmp_path, change, message):
    with pytest.raises(InputError, match=message):
        load(tmp_path, {**MENTOR, **change})


def test_an_id_given_twice_is_refused(tmp_path):
    with pytest.raises(InputError, match=r"rows.jsonl:2: id '2hop__1' was given before at .*rows.jsonl:1"):
        load(tmp_path, RECALL, RECALL)


@pytest.mark.parametrize(
    ("text", "inner"),
    [
        (r"\boxed{50}", "50"),
        (r" \boxed{\frac{1}{2}} ", r"\frac{1}{2}"),
        (r"\boxed{1} or \boxed{2}", r"\boxed{1} or \boxed{2}"),
        (r"\boxed{}", r"\boxed{}"),
        ("50", "50"),
    ],
)
def test_one_box_is_unwrapped(text, inner):
    assert unboxed(text) == inner
