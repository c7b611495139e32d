"""JSON that a student wrote, read the same on every thread.

Python's parser ends in RecursionError at a depth that depends on the stack of the thread. Here a value nested more than
MAX_DEPTH deep is refused before it is parsed.
"""

from __future__ import annotations

import json
import re
from typing import Any

MAX_DEPTH = 100
TOO_DEEP = f"nested more than {MAX_DEPTH} deep"

_DECODER = json.JSONDecoder()
_TOKENS = re.compile(r'"(?:[^"\\]|\\.)*+"?|[\[{]|[\]}]', re.DOTALL)


def read_json(text: str) -> Any:
    """Parse JSON text. Raises ValueError for what is none: NaN, 1e999, half a surrogate pair, too deep nesting."""
    if _too_deep(text):
        raise ValueError(TOO_DEEP)
    value = json.loads(text, parse_constant=_no_constant)
    json.dumps(value, ensure_ascii=False, allow_nan=False).encode()  # refuses 1e999 and half a surrogate pair
    return value


def value_end(text: str, start: int) -> int:
    """Find where the JSON value that begins at `start` ends. Raises ValueError where none does."""
    if _too_deep(text, start):
        raise ValueError(TOO_DEEP)
    return _DECODER.raw_decode(text, start)[1]


def _too_deep(text: str, start: int = 0) -> bool:
    """Whether the value that begins at `start` is; up to its last bracket where it is broken."""
    if text.count("[", start) + text.count("{", start) <= MAX_DEPTH:
        return False
    depth = 0
    for token in _TOKENS.finditer(text, start):
        bracket = token[0]
        depth += (bracket in "[{") - (bracket in "]}")
        if depth > MAX_DEPTH:
            return True
        if depth <= 0 and bracket in "]}":
            return False
    return False


def _no_constant(text: str) -> None:
    raise ValueError(f"{text} is not a JSON value")
