"""Messages in the OpenAI chat shape."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from mentor.chat.parsed import ParsedCall


def make_call(name: str, arguments: dict[str, Any], number: int = 0) -> dict[str, Any]:
    """Write a tool call; `number` makes its id."""
    return {"id": f"call_{number}", "type": "function", "function": {"name": name, "arguments": arguments}}


def assistant_message(content: str, reasoning: str, calls: Sequence[ParsedCall], first_call: int) -> dict[str, Any]:
    """Write an assistant turn, its calls numbered from `first_call`; no key for reasoning or calls that it lacks."""
    message: dict[str, Any] = {"role": "assistant", "content": content}
    if reasoning:
        message["reasoning_content"] = reasoning
    if calls:
        numbered = enumerate(calls, start=first_call)
        message["tool_calls"] = [make_call(call.name or "", call.arguments, number) for number, call in numbered]
    return message
