"""A row's prompt: the question as text, or as the last turn of a list of messages, with what stands before it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from mentor.errors import InputError
from mentor.rows import describe, json_field, text_field
from mentor.traces.reading import read_messages
from mentor.traces.trace import Numbered, make_trace

Message = dict[str, Any]

ACCEPTED = "text, or a list of {role, content} that ends with the user's"


def read_prompt(value: Any, place: str, key: str) -> tuple[tuple[Message, ...], str]:
    """Return the messages before the question, and the question; messages of the user one after another are one turn.

    Raises InputError naming the place and the key.
    """
    if isinstance(value, str) and value.lstrip().startswith("[") and '"role"' in value:
        value = json_field(value, f"{place}: {key}", ACCEPTED)
    if isinstance(value, str):
        return (), text_field({key: value}, key, place)
    if not isinstance(value, list) or not value or not all(isinstance(message, Mapping) for message in value):
        raise InputError(f"{place}: {key} is {describe(value)}, accepted: {ACCEPTED}")
    try:
        return split_prompt(value)
    except InputError as error:
        raise InputError(f"{place}: {key}: {error}") from None


def split_prompt(entries: Sequence[Mapping[str, Any]]) -> tuple[tuple[Message, ...], str]:
    """As `read_prompt`, of a list of messages. Raises InputError naming the message."""
    read = read_messages(list(entries))
    asked: list[str] = []
    while read and read[-1].message["role"] == "user":
        asked.insert(0, read.pop().message["content"])
    question = "\n\n".join(asked)
    if not question.strip():
        last = read[-1].message["role"] if read else "nothing"
        raise InputError(f"the last message is of the {last}, accepted: {ACCEPTED}")
    return tuple(_earlier(read)), question


def _earlier(read: list[Numbered]) -> list[Message]:
    """The messages before the question; with turns of the assistant their order is checked."""
    if any(entry.message["role"] in ("assistant", "tool") for entry in read):
        return make_trace(read, None).messages
    return _joined([entry.message for entry in read])


def _joined(messages: Sequence[Message]) -> list[Message]:
    """One system message in place of several."""
    texts = [message["content"] for message in messages if message["content"].strip()]
    return [{"role": "system", "content": "\n\n".join(texts)}] if texts else []
