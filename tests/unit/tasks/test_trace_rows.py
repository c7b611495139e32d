"""Traces as tasks: question, earlier messages, answers, ids, tools; and rows that are refused."""

import json

import pytest

from mentor.errors import InputError
from mentor.tasks import load_tasks
from mentor.types import NO_TOOLS


def said(*pairs, **more):
    return {"messages": [{"role": role, "content": text} for role, text in pairs], **more}


def call(name, **arguments):
    return {"role": "assistant", "tool_calls": [{"id": "c", "function": {"name": name, "arguments": arguments}}]}


SHED = said(("system", "Be brief."), ("user", "Hello?"), ("assistant", "Hi."), ("user", "Ropes?"), ("assistant", "12."))


def load(tmp_path, *rows, name="log.jsonl", **keys):
    path = tmp_path / name
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return load_tasks("traces", str(path), **keys)


def test_the_last_turn_of_the_user_is_the_question_and_the_rest_is_earlier(tmp_path):
    task, named = load(
        tmp_path, {**SHED, "answer": 12, "gold": {"value": ["x", "y"]}}, said(("user", "A"), ("assistant", "B"), id=7)
    )
    assert (task.id, task.question, task.answer, task.tools) == ("log-000000", "Ropes?", ("12",), NO_TOOLS)
    assert [message["content"] for message in task.earlier] == ["Be brief.", "Hello?", "Hi."]
    assert (named.id, named.answer, named.earlier) == ("7", (), ())
    assert load(tmp_path, {**SHED, "gold": {"value": ["x", "y"]}}, columns={"answer": "gold.value"})[0].answer == (
        "x",
        "y",
    )


def test_ids_are_used_once_and_a_repeat_is_refused_by_its_earlier_place(tmp_path):
    other = said(("user", "Hello?"), ("assistant", "Ho."), id="a")
    again = said(("user", "Hello? "), ("assistant", "Hi, in other words."), id="a")
    tasks = load(tmp_path, {**other}, again, {**other, "tools": [{"name": "now"}]})
    assert [task.id for task in tasks] == ["a", "a#2", "a#3"]
    assert [task.source["row"].refusal for task in tasks][::2] == [None, None]
    reason, line = tasks[1].source["row"].refusal
    assert (
        reason == "repeated"
        and line == f"{tmp_path}/log.jsonl:2: the same user's words and the same calls as {tmp_path}/log.jsonl:1"
    )


def test_a_row_that_cannot_be_read_names_its_record_and_the_others_are_read(tmp_path):
    lone = said(("user", "\ud800"), ("assistant", "?"))
    bad = [
        said(("user", "x"), ("oracle", "y")),
        said(),
        {"messages": None},
        said(("user", "x")),
        {**SHED, "answer": {"a": 1}},
    ]
    tasks = load(tmp_path, SHED, *bad)
    refusals = [task.source["row"].refusal for task in tasks[1:]]
    assert [reason for reason, _ in refusals] == ["unknown_role", "empty", "unreadable", "no_assistant", "unreadable"]
    assert refusals[0][1].startswith(f"{tmp_path}/log.jsonl:2: message 2 (oracle): no known role")
    with pytest.raises(InputError, match="half of a surrogate"):
        load(tmp_path, SHED, lone)
    with pytest.raises(InputError, match="no row holds a conversation, given the columns 'question'"):
        load(tmp_path, {"question": "?"})


def test_rows_that_list_no_tools_share_schemas_made_from_their_calls(tmp_path):
    rows = [
        {"messages": [{"role": "user", "content": "a"}, call("stock", item="nut")]},
        {"messages": [{"role": "user", "content": "b"}, call("now")]},
        said(("user", "c"), ("assistant", "d")),
        {
            "messages": [{"role": "user", "content": "e"}, call("now")],
            "tools": [{"name": "now", "description": "Time."}],
        },
    ]
    stock, now, without, listed = load(tmp_path, *rows)
    names = [schema["function"]["name"] for schema in stock.tools.schemas]
    assert names == ["stock", "now"] and now.tools == stock.tools and without.tools == NO_TOOLS
    assert [task.source["row"].made_tools for task in (stock, now, without, listed)] == [True, True, False, False]
    assert listed.tools.schemas[0]["function"]["description"] == "Time."


def test_a_parquet_file_fills_keys_with_nulls(tmp_path):
    import pyarrow
    import pyarrow.parquet

    arguments = [{"item": "nut"}, {"n": 2}]
    rows = [{"messages": [{"role": "user", "content": f"{a}"}, call("stock", **a)]} for a in arguments]
    pyarrow.parquet.write_table(pyarrow.Table.from_pylist(rows), tmp_path / "log.parquet")
    tasks = load_tasks("traces", str(tmp_path / "log.parquet"))
    assert [task.source["row"].trace.calls[0]["arguments"] for task in tasks] == arguments


def test_the_form_may_be_forced(tmp_path):
    (task,) = load(tmp_path, SHED, form="glaive")
    assert task.source["row"].refusal == ("unreadable", f"{tmp_path}/log.jsonl:1: no text under `chat` or `sample`")
