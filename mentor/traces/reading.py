"""The messages of a row in the OpenAI chat shape, whatever its form calls the roles and wherever it writes the calls.

Shared by all forms: names of roles, contents in parts, calls and results in text, reasoning, weights. Consecutive
messages of the assistant are one turn where the later ones only call: some logs write one message for each call.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from mentor.chat.conversation import ConversationError, Message
from mentor.chat.messages import make_call
from mentor.chat.parse import split_reasoning
from mentor.rows import describe
from mentor.traces.call_text import MARK, TAG, Call, CallTextError, call_of, calls_of, marked_calls, tagged_calls
from mentor.traces.loose_json import NotJsonError, json_text, loose_json
from mentor.traces.result_text import Result, only_results, results_of
from mentor.traces.trace import Numbered, TraceError

KINDS = {
    **dict.fromkeys(("system", "developer"), "system"),
    **dict.fromkeys(("user", "human"), "user"),
    **dict.fromkeys(("assistant", "gpt", "model", "ai", "bot", "chatgpt"), "assistant"),
    **dict.fromkeys(("function_call", "tool_call", "function-call", "tool-call", "tool_calls"), "call"),
    **dict.fromkeys(
        ("tool", "function", "observation", "tool_response", "function_response", "function-response", "tool_result"),
        "result",
    ),
}
"""What a role is, by its names in the known forms."""

TEXT_PARTS = ("text", "input_text", "output_text", "refusal")
READ = ("role", "from", "content", "value", "tool_calls", "function_call", "reasoning", "loss", "weight")
"""Keys of a message that are read here; the others are kept as they are."""

CallReader = Callable[[str], tuple[str, list[Call]]]


def read_messages(entries: Any, system: str = "", in_text: Sequence[CallReader] = ()) -> list[Numbered]:
    """Read a row's list of `{role, content}` or `{from, value}` objects.

    system: a system text that stands beside the list. in_text: readers of calls in an assistant's text, besides those
    of `<tool_call>` and `<functioncall>`. Raises ConversationError naming the message, TraceError for no list.
    """
    if not isinstance(entries, list | tuple):
        raise TraceError("unreadable", f"the conversation is {describe(entries)}, accepted: a list of messages")
    done = [Numbered({"role": "system", "content": system}, 0)] if system.strip() else []
    reader = _Reader(in_text)
    for number, entry in enumerate(entries, 1):
        for message in reader.read(number, entry, done[-1].message if done else None):
            if done and _one_turn(done[-1].message, message):
                done[-1] = Numbered(_joined(done[-1].message, message), done[-1].number)
            else:
                done.append(Numbered(message, number))
    return done


class _Reader:
    """Reads one message after the other."""

    def __init__(self, in_text: Sequence[CallReader]) -> None:
        self.in_text = in_text

    def read(self, number: int, entry: Any, before: Message | None) -> list[Message]:
        """Read a message; a result may be several. before: the message read last."""
        if not isinstance(entry, Mapping):
            raise ConversationError("unreadable", number, None, f"is {describe(entry)}, accepted: an object")
        entry = {key: value for key, value in entry.items() if value is not None}
        role = entry.get("role", entry.get("from"))
        kind = KINDS.get(role.strip().lower()) if isinstance(role, str) else None
        if kind is None:
            raise ConversationError("unknown_role", number, role, f"no known role; accepted: {', '.join(KINDS)}")
        kept = {key: value for key, value in entry.items() if key not in READ}
        content = entry.get("content", entry.get("value"))
        try:
            calls = len(before.get("tool_calls", ())) if before is not None else 0
            if kind == "result" or (kind == "user" and calls and only_results(content)):
                return _results(content, kept, calls)
            text = text_of(content)
            if kind == "call":
                return [_turn("", _spoken_calls(text), entry, kept)]
            return (
                [self._assistant(text, entry, kept)]
                if kind == "assistant"
                else [{**kept, "role": kind, "content": text}]
            )
        except (CallTextError, ContentError) as error:
            reason = "malformed_call" if isinstance(error, CallTextError) else "content"
            raise ConversationError(reason, number, role, str(error)) from None

    def _assistant(self, text: str, entry: Mapping[str, Any], kept: Message) -> Message:
        listed, legacy = entry.get("tool_calls"), entry.get("function_call")
        if listed or legacy:
            if listed and not isinstance(listed, list):
                raise CallTextError(f"tool_calls are {describe(listed)}, accepted: a list")
            return _turn(text, [(*call_of(call), _id(call)) for call in listed or [legacy]], entry, kept)
        reasoning, visible = split_reasoning(text)
        calls: list[Call] = []
        for mark, reader in ((TAG, tagged_calls), (MARK, marked_calls), *(("", reader) for reader in self.in_text)):
            if mark in visible and not calls:
                visible, calls = reader(visible)
        if reasoning:
            entry = {"reasoning": reasoning, **entry}
        message = _turn(
            visible.strip() if reasoning or calls else visible, [(*call, None) for call in calls], entry, kept
        )
        if not calls and not message["content"].strip() and "weight" not in message:
            raise ContentError("says nothing and calls nothing")
        return message


class ContentError(ValueError):
    """A content that is no text."""


def text_of(content: Any) -> str:
    """Return the text of a content: text, or parts of text, nested or not; nothing is empty. Raises ContentError."""
    if content is None or isinstance(content, str):
        return content or ""
    if isinstance(content, list | tuple):
        return "".join(map(text_of, content))
    if isinstance(content, Mapping):
        kind = content.get("type", "text")
        text = content.get("text", content.get("refusal", content.get("content") if kind in TEXT_PARTS else None))
        if kind not in TEXT_PARTS:
            raise ContentError(f"has a part of type {kind!r}, accepted: text")
        if text is not None:
            return text_of(text.get("value") if isinstance(text, Mapping) and "value" in text else text)
    raise ContentError(f"content is {describe(content)}, accepted: text, or a list of text parts")


def _results(content: Any, kept: Message, calls: int) -> list[Message]:
    """A result whose content is no text is shown as JSON."""
    parts = isinstance(content, list) and all(isinstance(part, Mapping) and "type" in part for part in content)
    text = text_of(content) if parts or content is None or isinstance(content, str) else json_text(content)
    found = [Result(text)] if kept.get("tool_call_id") else results_of(text, calls)
    return [_result(result, kept) for result in found]


def _result(result: Result, kept: Message) -> Message:
    named = {} if result.name is None else {"name": result.name}
    given = {} if result.call_id is None else {"tool_call_id": result.call_id}
    message = {**named, **given, **kept, "role": "tool", "content": result.text}
    return {key: value for key, value in message.items() if key not in ("tool_call_id", "name") or value}


def _spoken_calls(text: str) -> list[tuple[str, dict[str, Any], None]]:
    """The calls of a message that holds nothing else, as JSON or between tags."""
    if TAG in text:
        _, calls = tagged_calls(text)
    else:
        try:
            calls = calls_of(loose_json(text))
        except NotJsonError as error:
            raise CallTextError(f"call is not JSON ({error})") from None
    return [(*call, None) for call in calls]


def _turn(
    text: str, calls: Iterable[tuple[str, dict[str, Any], str | None]], entry: Mapping[str, Any], kept: Message
) -> Message:
    """Write an assistant message; a call keeps the id that it has."""
    message: Message = {**kept, "role": "assistant", "content": text}
    reasoning = next((entry[key] for key in ("reasoning_content", "reasoning") if isinstance(entry.get(key), str)), "")
    if reasoning.strip():
        message["reasoning_content"] = reasoning
    made = []
    for name, arguments, given in calls:
        call = {key: value for key, value in make_call(name, arguments).items() if key != "id"}
        made.append(call if given is None else {"id": given, **call})
    if made:
        message["tool_calls"] = made
    weight = entry.get("weight", entry.get("loss"))
    if weight is not None and not weight:
        message["weight"] = 0
    return message


def _id(call: Any) -> str | None:
    given = call.get("id") if isinstance(call, Mapping) else None
    return given if isinstance(given, str) and given else None


def _one_turn(before: Message, message: Message) -> bool:
    """Whether two messages of the assistant are one turn: text and then its calls, or one message for each call."""
    if before["role"] != "assistant" or message["role"] != "assistant" or "tool_calls" not in message:
        return False
    return ("tool_calls" not in before or not message["content"]) and before.get("weight") == message.get("weight")


def _joined(before: Message, message: Message) -> Message:
    texts = [text for text in (before["content"], message["content"]) if text.strip()]
    calls = [*before.get("tool_calls", ()), *message["tool_calls"]]
    return {**message, **before, "content": "\n".join(texts), "tool_calls": calls}
