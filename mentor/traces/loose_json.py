"""JSON as logs hold it: as JSON text, as a Python literal, or as the value itself."""

from __future__ import annotations

import ast
import json
from typing import Any


class NotJsonError(ValueError):
    """A text that is neither JSON nor a Python literal; the message says why it is no JSON."""


def loose_json(text: str) -> Any:
    """Read JSON text, or a Python literal such as `{'a': True}`, which some data sets hold. Raises NotJsonError."""
    try:
        return json.loads(text, parse_constant=_no_constant)
    except (ValueError, RecursionError) as error:
        reason = str(error).split(";")[0][:80] or "nested too deep"
    try:
        value = ast.literal_eval(text.strip())
        json.dumps(value, allow_nan=False)
    except (ValueError, SyntaxError, TypeError, RecursionError, MemoryError):
        raise NotJsonError(reason) from None
    return json.loads(json.dumps(value))  # tuples as lists, keys as text


def json_text(value: Any) -> str:
    """Return text as it is, any other value as JSON text."""
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def _no_constant(text: str) -> None:
    raise ValueError(f"{text} is not a JSON value")
