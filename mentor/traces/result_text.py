"""Results that stand in the text of a message: between tags (Hermes), or several in one JSON list (ToolACE)."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

from mentor.traces.loose_json import NotJsonError, json_text, loose_json

_TAGGED = re.compile(r"<tool_response>\s*(.*?)\s*</tool_response>", re.DOTALL)
_VALUES = ("content", "results", "result", "output", "response")


@dataclass(frozen=True)
class Result:
    """What one call returned, as text. name, call_id: of the call, where the text says so."""

    text: str
    name: str | None = None
    call_id: str | None = None


def results_of(text: str, calls: int) -> list[Result]:
    """Read the results of a message that follows `calls` calls: one, unless the text says that it holds several.

    Tags are taken off. `{"name": ..., "content": ...}` between them gives the tool's name and the content.
    """
    tagged = _TAGGED.findall(text)
    if tagged:
        return [_named(_parsed(body), body) for body in tagged]
    value = _parsed(text) if text.lstrip().startswith("[") else None
    if isinstance(value, list) and len(value) == calls and (calls > 1 or all(map(_is_named, value))):
        return [_named(entry, json_text(entry)) for entry in value]
    return [Result(text)]


def only_results(content: Any) -> bool:
    """Whether a content is tagged results and no more: Qwen's templates show them to the model as the user's."""
    return isinstance(content, str) and "<tool_response>" in content and not _TAGGED.sub("", content).strip()


def _parsed(text: str) -> Any:
    try:
        return loose_json(text)
    except NotJsonError:
        return None


def _is_named(value: Any) -> bool:
    """Whether a value is `{name, <one of _VALUES>}`, perhaps with the call's id, and nothing else."""
    if not isinstance(value, dict) or not isinstance(value.get("name"), str):
        return False
    others = [key for key in value if key not in ("name", "tool_call_id")]
    return len(others) == 1 and others[0] in _VALUES


def _named(value: Any, text: str) -> Result:
    if not _is_named(value):
        return Result(text)
    (key,) = (key for key in value if key in _VALUES)
    given = value.get("tool_call_id")
    return Result(json_text(value[key]), value["name"], given if isinstance(given, str) and given else None)
