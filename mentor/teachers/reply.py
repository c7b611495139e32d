"""Parse an assistant message of an endpoint: text, reasoning and calls.

The endpoint's own parsers may miss a call or leave it in the reasoning, so the text is parsed here like a student's.
What they missed is flagged. A call in the text (`call_in_text`) is taken as a call where the endpoint listed none. A
call inside the reasoning (`call_in_reasoning`) is not.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

from mentor.chat.parse import count_mentions, parse_turn
from mentor.chat.syntax import HERMES, ParsedCall

FLAGS = ("call_in_text", "call_in_reasoning", "malformed_call")


@dataclass(frozen=True)
class Reply:
    """One assistant turn; `flags` are some of FLAGS."""

    content: str
    reasoning: str
    calls: tuple[ParsedCall, ...]
    flags: tuple[str, ...]


def read_reply(message: dict[str, Any]) -> Reply:
    """Parse a message of the chat completions protocol. Bad model output is flagged, it raises nothing."""
    said = parse_turn(_text(message.get("content")))
    given = _text(message.get("reasoning_content")) or _text(message.get("reasoning"))
    reasoning = "\n".join(part for part in (given, said.reasoning) if part)
    listed = message.get("tool_calls")
    calls = tuple(map(_call, listed)) if isinstance(listed, list) else ()
    flags = {
        "call_in_text": bool(said.calls),
        "call_in_reasoning": count_mentions(reasoning, HERMES) > 0,
        "malformed_call": any(call.problem for call in calls or said.calls),
    }
    return Reply(said.content, reasoning, calls or said.calls, tuple(flag for flag in FLAGS if flags[flag]))


def _text(value: Any) -> str:
    """Return a text as it is, the texts of a list of parts joined, and "" for anything else."""
    if isinstance(value, list):
        return "".join(_text(part.get("text")) for part in value if isinstance(part, dict))
    return value.encode(errors="replace").decode() if isinstance(value, str) else ""  # half a surrogate pair is no text


def _call(entry: Any) -> ParsedCall:
    function = entry.get("function") if isinstance(entry, dict) else None
    name = _text(function.get("name")) if isinstance(function, dict) else ""
    if not isinstance(function, dict) or not name:
        return ParsedCall(None, {}, 'a call needs "name" as text')
    arguments = function.get("arguments") or "{}"
    try:
        values = json.loads(arguments) if isinstance(arguments, str) else arguments
        json.dumps(values, ensure_ascii=False, allow_nan=False).encode()  # refuses NaN, 1e999, half a surrogate pair
    except (TypeError, ValueError, RecursionError) as error:
        return ParsedCall(name, {}, f"not valid JSON: {str(error)[:80]}")
    if not isinstance(values, dict):
        return ParsedCall(name, {}, f'"arguments" is a JSON object, got {type(values).__name__}')
    return ParsedCall(name, values)
