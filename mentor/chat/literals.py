"""Python's literals, and Gemma's, as a student writes them inside a call.

Own code, because `ast.literal_eval` warns of escapes, ends in RecursionError or MemoryError by the stack of the thread,
and reads neither JSON's `true` nor strings between `<|"|>`.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from typing import Any

from mentor.chat.json_text import MAX_DEPTH, TOO_DEEP

GEMMA_QUOTE = '<|"|>'

_SPACE = re.compile(r"\s*")
_WORD = re.compile(r"[^\s,\[\](){}:'\"<]{1,5000}")
_BARE_KEY = re.compile(r"[^:,{}\[\]]{1,500}?(?=:)")
_NUMBER = re.compile(r"[+-]?(?:\d{1,4000}(?:\.\d*)?|\.\d+)(?:[eE][+-]?\d{1,3})?", re.ASCII)
_STRINGS = {quote: re.compile(rf"{quote}((?:[^{quote}\\]|\\.)*+){quote}", re.DOTALL) for quote in "\"'"}
_ESCAPE = re.compile(r"\\(u[0-9a-fA-F]{4}|U[0-9a-fA-F]{8}|x[0-9a-fA-F]{2}|.)", re.DOTALL)
_ESCAPED = {"n": "\n", "t": "\t", "r": "\r", "b": "\b", "f": "\f", "a": "\a", "v": "\v", "0": "\0", "\n": ""}
_PLAIN = {*"\\'\"/"}
_CONSTANTS = {"True": True, "true": True, "False": False, "false": False, "None": None, "null": None}


def read_literal(text: str, start: int) -> tuple[Any, int]:
    """Read the value that begins at `start`, and where it ends. Raises ValueError for what is none."""
    return _value(text, skip(text, start), 0)


def read_map(text: str, start: int) -> tuple[dict[str, Any], int]:
    """Read `{key:value,...}`, whose keys may be bare, and where it ends. Raises ValueError."""
    if not text.startswith("{", start):
        raise ValueError("expected {")
    return _map(text, start, 0)


def skip(text: str, start: int) -> int:
    """Return where white space ends."""
    match = _SPACE.match(text, start)
    return match.end() if match else start


def write_literal(value: Any) -> str:
    """Write a JSON value as Python does; strings in JSON's quotes, which Python reads alike."""
    if isinstance(value, dict):
        return "{" + ", ".join(f"{write_literal(key)}: {write_literal(below)}" for key, below in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(map(write_literal, value)) + "]"
    return json.dumps(value, ensure_ascii=False) if isinstance(value, str) else repr(value)


def write_map(value: Any) -> str:
    """Write a JSON value as Gemma does, keys of objects bare."""
    if isinstance(value, dict):
        return "{" + ",".join(f"{key}:{write_map(below)}" for key, below in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ",".join(map(write_map, value)) + "]"
    return f"{GEMMA_QUOTE}{value}{GEMMA_QUOTE}" if isinstance(value, str) else json.dumps(value)


def _value(text: str, start: int, depth: int) -> tuple[Any, int]:
    if depth > MAX_DEPTH:
        raise ValueError(TOO_DEEP)
    opening = text[start : start + 1]
    if opening == "{":
        return _map(text, start, depth)
    if opening and opening in "[(":
        return _list(text, start, depth, "])"["[(".index(opening)])
    if opening in _STRINGS or text.startswith(GEMMA_QUOTE, start):
        return _string(text, start)
    word = _WORD.match(text, start)
    if word is None:
        raise ValueError(f"expected a value at {text[start : start + 20]!r}")
    return _scalar(word[0]), word.end()


def _scalar(word: str) -> Any:
    if word in _CONSTANTS:
        return _CONSTANTS[word]
    if not _NUMBER.fullmatch(word):
        raise ValueError(f"{word[:40]!r} is not a value")
    value = int(word) if word.lstrip("+-").isdecimal() else float(word)
    if value in (float("inf"), float("-inf")):
        raise ValueError(f"{word[:40]} is too large")
    return value


def _string(text: str, start: int) -> tuple[str, int]:
    if text.startswith(GEMMA_QUOTE, start):
        begin = start + len(GEMMA_QUOTE)
        end = text.find(GEMMA_QUOTE, begin)
        if end < 0:
            raise ValueError("a string is not closed")
        return text[begin:end], end + len(GEMMA_QUOTE)
    match = _STRINGS[text[start]].match(text, start)
    if match is None:
        raise ValueError("a string is not closed")
    return _unescaped(match[1]), match.end()


def _unescaped(body: str) -> str:
    if "\\" not in body:
        return body
    said = _ESCAPE.sub(lambda match: _escaped(match[1]), body)
    try:
        return said.encode("utf-16", "surrogatepass").decode("utf-16")  # JSON writes one character as two escapes
    except UnicodeError:
        raise ValueError("half a surrogate pair is no character") from None


def _escaped(code: str) -> str:
    if len(code) > 1:
        number = int(code[1:], 16)
        if number > 0x10FFFF:
            raise ValueError(f"\\{code} is no character")
        return chr(number)
    return code if code in _PLAIN else _ESCAPED.get(code, "\\" + code)


def _list(text: str, start: int, depth: int, closing: str) -> tuple[list[Any], int]:
    values: list[Any] = []

    def entry(place: int) -> int:
        value, end = _value(text, place, depth + 1)
        values.append(value)
        return end

    return values, entries(text, start + 1, closing, entry)


def _map(text: str, start: int, depth: int) -> tuple[dict[str, Any], int]:
    values: dict[str, Any] = {}

    def entry(place: int) -> int:
        key, end = _key(text, place)
        end = skip(text, end)
        if not text.startswith(":", end):
            raise ValueError("expected : after a key")
        values[key], end = _value(text, skip(text, end + 1), depth + 1)
        return end

    if depth > MAX_DEPTH:
        raise ValueError(TOO_DEEP)
    return values, entries(text, start + 1, "}", entry)


def _key(text: str, start: int) -> tuple[str, int]:
    if text[start : start + 1] in _STRINGS or text.startswith(GEMMA_QUOTE, start):
        return _string(text, start)
    match = _BARE_KEY.match(text, start)
    if match is None:
        raise ValueError("expected a key")
    return match[0].strip(), match.end()


def entries(text: str, start: int, closing: str, entry: Callable[[int], int]) -> int:
    """Read entries between commas up to the closing bracket, and return where it ends. Raises ValueError."""
    place = skip(text, start)
    while not text.startswith(closing, place):
        place = skip(text, entry(place))
        if text.startswith(",", place):
            place = skip(text, place + 1)
        elif not text.startswith(closing, place):
            raise ValueError(f"expected , or {closing}" if place < len(text) else f"{closing} is missing")
    return place + len(closing)
