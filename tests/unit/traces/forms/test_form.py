"""What several forms share, and which form a file has."""

import json

import pytest

from mentor.config import TRACE_FORMS
from mentor.errors import InputError
from mentor.traces.forms import FORMS, count_forms, find_form
from mentor.traces.forms.form import entries_of, read_conversation, roles_of, texts_of

CHAT = {"conversations": [{"from": "human", "value": "?"}, {"from": "GPT ", "value": "!"}]}


def test_the_configuration_names_every_form():
    assert tuple(FORMS) == TRACE_FORMS


def test_a_file_has_the_most_special_form_of_its_rows_or_the_one_that_is_named():
    rows = [CHAT, {"conversations": [*CHAT["conversations"], {"from": "observation", "value": "x"}]}]
    assert find_form("auto", rows, "task.path=f").name == "llama_factory"
    assert find_form("sharegpt", rows, "task.path=f").name == "sharegpt"
    assert count_forms([*rows, {"a": 1}]) == {"sharegpt": 1, "llama_factory": 1}
    with pytest.raises(
        InputError, match="task.path=f: no row holds a conversation, given the columns 'a', 'b'; accepted: "
    ):
        find_form("auto", [{"a": 1, "b": 2}], "task.path=f")


def test_lists_of_messages_in_a_row():
    entries = entries_of(CHAT, "messages", "conversations")
    assert entries_of({"m": '[{"role": "user"}]'}, "m") == [{"role": "user"}] and entries_of({"m": "[x"}, "m") == []
    assert (
        roles_of(entries) == {"human", "gpt"}
        and texts_of(entries) == ["?", "!"]
        and entries_of({"m": ["x"]}, "m") == []
    )


def test_tools_in_a_column_take_the_place_of_tags_in_the_system_text():
    tool = {"name": "now", "parameters": {"type": "object"}}
    row = {**CHAT, "system": '<tools>[{"name": "then"}]</tools>', "tools": [tool]}
    trace = read_conversation(row, row["conversations"])
    assert [tool["function"]["name"] for tool in trace.tools] == ["now"]
    assert [message["role"] for message in trace.messages] == ["user", "assistant"], "the system text had only tools"
    assert read_conversation({}, json.dumps(row["conversations"])).messages == trace.messages
