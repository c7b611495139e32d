"""The fields of a row: a value under a key or a path of keys, and one clear line where it cannot be used."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from typing import Any

from mentor.errors import InputError

Row = dict[str, Any]

ANSWER_KEYS = ("target", "ground_truth", "answer", "answers", "text", "value")
"""Of an object that holds answers: under which keys they are. Its `aliases` are answers, too."""

_ABSENT = object()


def parse_row(line: str, place: str) -> Row:
    """Parse one JSON object; InputError names `place` otherwise."""
    row = _from_json(line, place, "one JSON object a line")
    if not isinstance(row, dict):
        raise InputError(f"{place}: {describe(row)} instead of a row, accepted: one JSON object a line")
    return row


def _from_json(text: str, place: str, accepted: str) -> Any:
    try:
        value = json.loads(text)
        if r"\ud" in text.lower():  # half of a surrogate pair would be refused only when it is written again
            json.dumps(value, ensure_ascii=False).encode()
    except json.JSONDecodeError as error:
        reason = f"not JSON ({error.msg} at column {error.colno})"
    except UnicodeEncodeError:
        reason = "holds half of a surrogate pair"
    except (RecursionError, ValueError) as error:  # ValueError: an integer of more than 4,300 digits
        reason = "nested too deep" if isinstance(error, RecursionError) else str(error).split(";")[0]
    else:
        return value
    raise InputError(f"{place}: {reason}, accepted: {accepted}")


def value_field(row: Mapping[str, Any], key: str, place: str) -> Any:
    """Return the value under a key, or under a path of keys with dots: `extra_info.question`, `messages.0.content`.

    A path leads through objects, lists (by number) and the JSON text of either. A key that has dots itself comes first.
    Raises InputError naming the keys that there are.
    """
    value = found_at(row, key)
    if value is _ABSENT:
        raise InputError(f"{place}: no key {key!r}, given: {', '.join(map(repr, row)) or 'no keys'}")
    return value


def optional_field(row: Mapping[str, Any], key: str) -> Any:
    """As `value_field`, None where there is no such key."""
    value = found_at(row, key)
    return None if value is _ABSENT else value


def found_at(value: Any, path: str) -> Any:
    if isinstance(value, str):
        value = _opened(value)
    if isinstance(value, list):
        first, _, rest = path.partition(".")
        if not first.isdecimal() or int(first) >= len(value):
            return _ABSENT
        return found_at(value[int(first)], rest) if rest else value[int(first)]
    if not isinstance(value, Mapping):
        return _ABSENT
    if path in value:
        return value[path]
    first, _, rest = path.partition(".")
    return found_at(value[first], rest) if rest and first in value else _ABSENT


def _opened(text: str) -> Any:
    """The object or list that JSON text holds, else the text."""
    if text.lstrip()[:1] not in ("{", "["):
        return text
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return text


def text_field(row: Mapping[str, Any], key: str, place: str) -> str:
    """Return a non-blank string; InputError names the place, the key, what was given and what is accepted."""
    value = value_field(row, key, place)
    if not isinstance(value, str):
        raise InputError(f"{place}: {key} is {describe(value)}, accepted: a string")
    if not value.strip():
        raise InputError(f"{place}: {key} is empty, accepted: a string with text")
    return value


def id_field(row: Mapping[str, Any], key: str, place: str) -> str | None:
    """Return a string or whole number as a string, None where the row has none or a blank one."""
    value = optional_field(row, key)
    if value is None or value == "":
        return None
    if isinstance(value, bool) or not isinstance(value, str | int):
        raise InputError(f"{place}: {key} is {describe(value)}, accepted: a string or a whole number")
    return str(value)


def without_nulls(value: Any) -> Any:
    """Drop null values: parquet fills the keys with them that only other rows have."""
    if isinstance(value, dict):
        return {key: without_nulls(below) for key, below in value.items() if below is not None}
    return [without_nulls(below) for below in value] if isinstance(value, list) else value


def json_field(text: str, where: str, accepted: str) -> Any:
    """Parse a field that holds JSON text; InputError names the field, what was given and what is accepted."""
    return _from_json(text, f"{where} is {describe(text)}", accepted)


def answer_field(row: Mapping[str, Any], key: str, place: str) -> tuple[str, ...]:
    """Return the accepted answers as strings: from a string, a number, a list of them, or an object that holds them.

    Such an object (`{"target": [...]}`, ANSWER_KEYS) may be the JSON text of itself.
    """
    return _answer_texts(value_field(row, key, place), key, place)


def _answer_texts(value: Any, key: str, place: str) -> tuple[str, ...]:
    held = _opened(value) if isinstance(value, str) and value.lstrip().startswith("{") else value
    if isinstance(held, Mapping):
        inner = next((name for name in ANSWER_KEYS if held.get(name) is not None), None)
        if inner is not None:
            aliases = held.get("aliases") or []
            listed = held[inner] if isinstance(held[inner], list) else [held[inner]]
            several = [*listed, *(aliases if isinstance(aliases, list) else [aliases])]
            return tuple(dict.fromkeys(_answer_texts(several, f"{key}.{inner}", place)))
    entries = value if isinstance(value, list) and value else [value]
    if len(entries) == 1 and isinstance(entries[0], Mapping) and entries[0] is not value:
        return _answer_texts(entries[0], key, place)
    return tuple(_answer_text(entry, key, place) for entry in entries)


def _answer_text(value: Any, key: str, place: str) -> str:
    if isinstance(value, str) and value.strip():
        return value.strip()
    if isinstance(value, int) and not isinstance(value, bool):
        return str(value)
    if isinstance(value, float) and math.isfinite(value):
        return str(int(value) if value.is_integer() else value)
    raise InputError(f"{place}: {key} is {describe(value)}, accepted: a string or a number, or a list of them")


def describe(value: Any) -> str:
    """Describe a value in short, with its JSON type."""
    kind = {
        type(None): "null",
        bool: "a boolean",
        int: "a number",
        float: "a number",
        str: "a string",
        list: "a list",
        dict: "an object",
    }.get(type(value), type(value).__name__)
    text = json.dumps(value, ensure_ascii=False, default=str)
    return kind if value is None else f"{kind} ({text if len(text) <= 40 else text[:40] + '…'})"
