"""What a tool reply in raw text says about its call: which call it answers, and whether that ran.

Read by `raw.py`. Known forms: the released one, `{the call as JSON}` then the parts `result:`, `output:`, `error:`,
each left out where it would be falsy, so that an empty reply is a success; and plain text, where an error is an object
with the key `error` or begins with `Error`, `Traceback` or the name of an exception.
"""

from __future__ import annotations

import json
import re
from typing import Any

from mentor.types import CallError

_ERROR_PART = re.compile(r"^error: *(?:\n|$)(.*)", re.MULTILINE | re.DOTALL)
_ERROR_TEXT = re.compile(r"error\b|Traceback|[A-Za-z_.]*(?:Error|Exception)\b|Parse tool call failed", re.IGNORECASE)
_BAD_ARGUMENTS = re.compile(
    r"required (?:positional|keyword-only) argument|positional arguments? but|unexpected keyword argument"
)
_UNKNOWN = re.compile(r"name '.*' is not defined|unknown[ _]tool", re.IGNORECASE)


def reply_name(reply: str) -> str | None:
    """The name of the call that the reply repeats in its first line, if it does."""
    echo = _json(reply.strip().split("\n", 1)[0])
    if not isinstance(echo, dict) or "arguments" not in echo:
        return None
    return echo["name"] if isinstance(echo.get("name"), str) else None


def reply_error(reply: str) -> CallError | None:
    """None if the call ran, else the kind of failure as far as the text tells it."""
    text = reply.strip()
    if reply_name(reply) is not None:
        part = _ERROR_PART.search(text)
        return None if part is None else _kind(part[1])
    value = _json(text)
    if isinstance(value, dict) and value.get("error"):
        return _kind(str(value["error"]))
    part = _ERROR_PART.search(text)
    if part is not None or _ERROR_TEXT.match(text):
        return _kind(text)
    return None


def _kind(text: str) -> CallError:
    for kind in CallError:
        if re.search(rf"\b{kind.value}\b", text):
            return kind
    if _BAD_ARGUMENTS.search(text):
        return CallError.INVALID_ARGUMENTS
    return CallError.UNKNOWN_TOOL if _UNKNOWN.search(text) else CallError.EXCEPTION


def _json(text: str) -> Any:
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return None
