"""What a tool reply in raw text says about its call: which call it answers, and whether that ran.

Read by `raw.py`. Known forms: the released one, `{the call as JSON}` then the parts `result:`, `output:`, `error:`,
each left out where it would be falsy, so that an empty reply is a success; and plain text or an object. A text or a
result that begins as errors do (`Error`, `Traceback`, the name of an exception, ...) is one.
"""

from __future__ import annotations

import json
import re
from typing import Any

from mentor.types import CallError

_ERROR_PART = re.compile(r"^error: *(?:\n|$)(.*)", re.MULTILINE | re.DOTALL)
_PART = re.compile(r"^(?:result|output): *(?:\n|$)", re.MULTILINE)
_FAILURES = (  # how a text begins that reports one
    r"error\b(?!['\"]?\s*:\s*(?:None|null|False|''|\"\"))",
    r"(?:(?:tool|call|function|execution|runtime|internal|server|validation|argument|math|python) ){1,3}error\b",
    r"[A-Za-z_.]+(?:Error|Exception|Timeout)\b|exception\b|timeout\b|Traceback\b",
    r"Parse tool call failed|timed out|failed\b|failure\b",
    r"(?:tool|call|function|execution)\b.{0,60}\b(?:failed|timed out|not found|does not exist)\b",
    r"(?:unknown|invalid|unsupported|missing|malformed)[ _](?:tool|function|argument|parameter|call|name)",
    r"[\w ]{0,30}\bby zero\b|math domain error|could not convert|invalid literal|unsupported operand",
    r"name '[^']*' is not defined|\w+\(\) (?:missing|got|takes)\b",
)
_ERROR_TEXT = re.compile(rf"\s*[^\w\n]{{0,4}}(?:(?:an|your|the(?! error)) )?(?:{'|'.join(_FAILURES)})", re.IGNORECASE)
_BAD_ARGUMENTS = re.compile(
    r"required (?:positional|keyword-only) argument|positional arguments? but|unexpected keyword argument"
)
_UNKNOWN = re.compile(r"name '.*' is not defined|unknown[ _]tool", re.IGNORECASE)


def reply_name(reply: str) -> str | None:
    """Return the name of the call that the reply repeats in its first line; None without one."""
    echo = _json(reply.strip().split("\n", 1)[0])
    if not isinstance(echo, dict) or "arguments" not in echo:
        return None
    return echo["name"] if isinstance(echo.get("name"), str) else None


def reply_error(reply: str) -> CallError | None:
    """Return None if the call ran, else the kind of failure as far as the text shows it."""
    text = reply.strip()
    if reply_name(reply) is not None:
        text = text.partition("\n")[2].strip()
    value = _json(text)
    if isinstance(value, dict):
        return _kind(str(value.get("error") or text)) if _reports_failure(value) else None
    if part := _ERROR_PART.search(text):
        return _kind(part[1])
    return _kind(text) if any(map(_ERROR_TEXT.match, _PART.split(text))) else None


def _reports_failure(value: dict[str, Any]) -> bool:
    """Return whether a reply that is an object reports an error: by a key, its status, or the text of its result."""
    if any(value.get(key) for key in ("error", "errors", "exception", "traceback", "is_error", "isError")):
        return True
    if any(value.get(key) is False for key in ("ok", "success")):
        return True
    if str(value.get("status", value.get("type"))).lower() in ("error", "failed", "failure", "timeout"):
        return True
    texts = (value.get(key) for key in ("result", "output", "content", "message"))
    return any(isinstance(text, str) and _ERROR_TEXT.match(text) for text in texts)


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
