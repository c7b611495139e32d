"""What a form is, and the parts that several share."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from mentor.rows import Row
from mentor.traces.listings import listed_tools, tools_in_text
from mentor.traces.loose_json import NotJsonError, loose_json
from mentor.traces.reading import CallReader, read_messages
from mentor.traces.trace import Numbered, Trace, make_trace

Entries = list[dict[str, Any]]


@dataclass(frozen=True)
class TraceForm:
    """fits: whether a row has the form. read: the trace in a row; raises TraceError or ConversationError."""

    name: str
    fits: Callable[[Row], bool]
    read: Callable[[Row], Trace]


def entries_of(row: Row, *columns: str) -> Entries:
    """Return the list of objects, or of its JSON text, under the first column that holds one; empty without any."""
    for column in columns:
        value = opened(row.get(column))
        if isinstance(value, list) and value and all(isinstance(entry, dict) for entry in value):
            return value
    return []


def opened(value: Any) -> Any:
    """Return the list that JSON text holds, any other value as it is."""
    if not isinstance(value, str) or not value.lstrip().startswith("["):
        return value
    try:
        return loose_json(value)
    except NotJsonError:
        return value


def roles_of(entries: Entries) -> set[str]:
    """The names of roles in a list of messages, in lower case."""
    named = (entry.get("role", entry.get("from")) for entry in entries)
    return {role.strip().lower() for role in named if isinstance(role, str)}


def texts_of(entries: Entries) -> list[str]:
    """The contents of messages that are text."""
    contents = (entry.get("content", entry.get("value")) for entry in entries)
    return [content for content in contents if isinstance(content, str)]


def read_conversation(row: Row, entries: Any, in_text: Sequence[CallReader] = ()) -> Trace:
    """Read a list of messages with the row's own tools, and its `system` column where it has one.

    The tools are those of a column, else those in the system text, which are cut out of it.
    """
    beside = row.get("system")
    messages = read_messages(opened(entries), beside if isinstance(beside, str) else "", in_text)
    tools = listed_tools(row)
    if messages and messages[0].message["role"] == "system":
        first = messages[0]
        text = first.message["content"]
        if tools is None or "<tools>" in text:
            found, rest = tools_in_text(text)
            tools = tools or found
            kept = Numbered({**first.message, "content": rest}, first.number)
            messages = [kept, *messages[1:]] if rest else messages[1:]
    return make_trace(messages, tools)
