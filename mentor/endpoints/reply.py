"""Parse an assistant message of an endpoint: text, reasoning and calls; and write it as the next request returns it.

The endpoint's own parsers may miss a call or leave it in the reasoning, so the text is parsed here like a student's.
What they missed is flagged. A call in the text (`call_in_text`) is taken as a call where the endpoint listed none. A
call inside the reasoning (`call_in_reasoning`) is not, nor is one in another syntax (`unparsed_call`).
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from mentor.chat.parse import count_mentions, parse_turn, split_reasoning
from mentor.chat.syntax import HERMES, ParsedCall

FLAGS = ("call_in_text", "call_in_reasoning", "malformed_call", "unparsed_call")

MARKUP = re.compile(
    r"""
    <tool_call>(?!\s*\{)                      # without the JSON that is parsed here
    | <(?!tool_call>)[^<>\s/]{0,20}(?:tool|function)[_▁]?(?:calls?|requests?)[^<>\s]{0,24}>
    | <function[\s=] | <(?:\w+:|｜DSML｜\s?)?invoke\sname= | <｜DSML｜\s?calls>
    | <\|(?:python_tag|python_start|channel|constrain|call|action_start|START_ACTION|tools_prefix|open)\|>
    | <\|content_invoke_tool_\w+\|>
    | \[TOOL_(?:CALLS|REQUEST)\] | functools\[ | ```tool_c(?:all|ode)
    | \A(?:```\w*+\s*+)?\[?\s*+\{\s*"(?:name|function|type)"\s*:.*?"(?:arguments|parameters)"\s*:
    | \A(?:```\w*+\s*+)?\{\s*"(?:tool_calls|function_call)"\s*:
    | \A\[\s*[A-Za-z_][\w.]*\((?:\s*\w+\s*=.*)?\)\s*\]\Z
    """,
    re.VERBOSE | re.IGNORECASE | re.DOTALL,
)
"""What a call begins with in other syntaxes, and whole turns that are calls without any mark."""


@dataclass(frozen=True)
class Reply:
    """One assistant turn. flags: some of FLAGS. unparsed: call markup that nobody read, None without any."""

    content: str
    reasoning: str
    calls: tuple[ParsedCall, ...]
    flags: tuple[str, ...]
    unparsed: str | None


def read_reply(message: Mapping[str, Any]) -> Reply:
    """Parse a message of the chat completions protocol. Bad model output is flagged, it raises nothing."""
    text = _text(message.get("content"))
    said = parse_turn(text)
    reasoning = "\n".join(part for part in (_given_reasoning(message), said.reasoning) if part)
    listed = message.get("tool_calls")
    calls = (tuple(map(_call, listed)) if isinstance(listed, list) else ()) or said.calls
    markup = MARKUP.search(split_reasoning(text)[1].strip())
    unparsed = " ".join(markup.group().split())[:40] if markup else None
    if unparsed is None and message.get("function_call") and not calls:
        unparsed = "function_call"  # what the protocol had before tool_calls
    flags = {
        "call_in_text": bool(said.calls),
        "call_in_reasoning": count_mentions(reasoning, HERMES) > 0,
        "malformed_call": any(call.problem for call in calls),
        "unparsed_call": unparsed is not None,
    }
    return Reply(said.content, reasoning, calls, tuple(flag for flag in FLAGS if flags[flag]), unparsed)


def returned(message: Mapping[str, Any], reply: Reply, first_call: int) -> dict[str, Any]:
    """Return a turn of well-formed calls as the next request holds it: as the endpoint gave it, whatever its keys.

    Calls found in the text are listed instead, and a call without an id gets one, for its result to name.
    first_call: number of the turn's first call in the try.
    """
    turn = {**message, "role": "assistant"}
    if not message.get("tool_calls"):
        written = [{"name": call.name, "arguments": json.dumps(call.arguments)} for call in reply.calls]
        turn |= {"content": reply.content, "tool_calls": [{"type": "function", "function": call} for call in written]}
    numbered = enumerate(turn["tool_calls"], start=first_call)
    turn["tool_calls"] = [{**call, "id": call.get("id") or f"call{number:05}"} for number, call in numbered]
    whole: dict[str, Any] = json.loads(json.dumps(turn, ensure_ascii=False).encode(errors="replace"))
    return whole  # half a surrogate pair cannot be sent


def _given_reasoning(message: Mapping[str, Any]) -> str:
    """Return the reasoning beside the text, in the first of the places where endpoints give it."""
    content = message.get("content")
    chunks = (
        [chunk.get("thinking") for chunk in content if isinstance(chunk, dict)] if isinstance(content, list) else []
    )
    places = [*(message.get(key) for key in ("reasoning_content", "reasoning", "reasoning_details")), *chunks]
    return next(filter(None, map(_text, places)), "")


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
