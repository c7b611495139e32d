"""Calls that are JSON objects: each between marks, in a list after a mark, or the whole turn."""

from __future__ import annotations

import re
from typing import Any

from mentor.chat.json_text import read_json, value_end
from mentor.chat.parsed import FoundCall, ParsedCall, Schemas, malformed
from mentor.chat.sections import find_sections, placed
from mentor.chat.spelling import Spelling, pattern

OTHER_KEY = {"arguments": "parameters", "parameters": "arguments"}


class TaggedObjects:
    """Any number of objects between an opening and a closing mark; a mark inside a JSON string ends none."""

    def __init__(self, spelling: Spelling) -> None:
        before, _, after = spelling.call.partition("{object}")
        self._open, self._close, self._keys = before.strip(), after.strip(), spelling.keys
        opening, closing = re.escape(self._open), re.escape(self._close)
        self._call = re.compile(f"{opening}(.*?)({closing}|(?={opening})|\\Z)|{closing}", re.DOTALL)
        self._closing = re.compile(rf"\s*{closing}")
        self.mention = re.compile(opening)

    def find(self, text: str, schemas: Schemas) -> list[FoundCall]:
        found: list[FoundCall] = []
        position, last_closing = 0, text.rfind(self._close)
        while match := self._call.search(text, position):
            end, call = match.end(), self._read(match)
            if call.problem is not None and match.group(1) is not None and end < last_closing:
                start, stop = _object(text, match.start(1))
                if closing := self._closing.match(text, stop):
                    end, call = closing.end(), read_object(text[start:stop], self._keys)
            found.append(FoundCall(match.start(), end, call))
            position = end
        return found

    def _read(self, match: re.Match[str]) -> ParsedCall:
        if match.group(1) is None:
            return malformed(f"{self._close} without {self._open}")
        if match.group(2) != self._close:
            return malformed(f"{self._open} is not closed")
        return read_object(match.group(1), self._keys)


class BareObject:
    """A turn that is one object; `{1, 2}` at the start of an answer is text."""

    def __init__(self, spelling: Spelling) -> None:
        self._before, self._keys = spelling.before, spelling.keys
        names = "|".join(map(re.escape, {*spelling.keys, "name", "parameters", "arguments", "function", "type"}))
        self._begin = re.compile(rf'\{{\s*"(?:{names})"')
        name, arguments = map(re.escape, spelling.keys)
        self.mention = re.compile(rf'\{{\s*"{name}"\s*:\s*"[^"\n]*"\s*,\s*"{arguments}"\s*:')

    def find(self, text: str, schemas: Schemas) -> list[FoundCall]:
        body = text.strip().removeprefix(self._before).lstrip()
        return [FoundCall(0, len(text), read_object(body, self._keys))] if self._begin.match(body) else []


class ObjectList:
    """A JSON list of objects after a mark, or as the whole turn where the section has no mark but its brackets."""

    def __init__(self, spelling: Spelling) -> None:
        opening, closing = (part.strip() for part in spelling.section)
        self._keys = spelling.keys
        self._open, self._close = opening.removesuffix("[").strip(), closing.removeprefix("]").strip()
        self._closing = re.compile(rf"\s*{pattern(self._close)}")
        names = "|".join(map(re.escape, {*spelling.keys, "name", "function", "type"}))
        self._begin = re.compile(rf'\[\s*\{{\s*"(?:{names})"')
        self.mention = re.compile(re.escape(self._open)) if self._open else self._begin

    def find(self, text: str, schemas: Schemas) -> list[FoundCall]:
        if not self._open:
            start = len(text) - len(text.lstrip())
            return self._list(text, start, start, len(text)) if self._begin.match(text, start) else []
        return find_sections(text, self._open, self._list)

    def _list(self, text: str, start: int, body: int, limit: int) -> list[FoundCall]:
        """Read the calls of the list that begins at `body`; where it is broken, one malformed call up to `limit`."""
        body += len(text[body:limit]) - len(text[body:limit].lstrip())
        try:
            end = value_end(text, body)
            entries = read_json(text[body:end])
        except (ValueError, RecursionError) as error:
            return [FoundCall(start, limit, malformed(f"not valid JSON: {str(error)[:80]}"))]
        if not isinstance(entries, list) or not entries:
            problem = "calls are a JSON list of objects" + ("" if entries == [] else f", got {type(entries).__name__}")
            return [FoundCall(start, end, malformed(problem))]
        closing = self._closing.match(text, end)
        if closing is None:
            return [FoundCall(start, limit, malformed(f"{self._open} is not closed by {self._close}"))]
        if not self._open and text[end:].strip():
            return [FoundCall(start, limit, malformed("text after the list of calls"))]
        return placed([call_of(entry, self._keys) for entry in entries], start, body, closing.end())


def read_object(body: str, keys: tuple[str, str]) -> ParsedCall:
    """Parse the JSON text of one call."""
    try:
        call = read_json(body)
    except (ValueError, RecursionError) as error:
        return malformed(f"not valid JSON: {str(error)[:80]}")
    return call_of(call, keys)


def call_of(call: Any, keys: tuple[str, str]) -> ParsedCall:
    """Read one call from the value that its JSON gave."""
    name_key, key = keys
    if not isinstance(call, dict):
        return malformed(f"a call is a JSON object, got {type(call).__name__}")
    name = call.get(name_key)
    if not isinstance(name, str) or not name:
        return malformed(f'a call needs "{name_key}" as text')
    other = OTHER_KEY.get(key)
    if other in call and key not in call:
        return malformed(f'the arguments of a call are under "{key}", got "{other}"', name)
    arguments = call.get(key, {})
    if not isinstance(arguments, dict):
        return malformed(f'"{key}" is a JSON object, got {type(arguments).__name__}', name)
    return ParsedCall(name, arguments)


_OBJECT = re.compile(r"\s*\{")


def _object(text: str, position: int) -> tuple[int, int]:
    """Find where the JSON object that follows begins and ends; the two are equal where there is none."""
    opening = _OBJECT.match(text, position)
    if opening is None:
        return position, position
    start = opening.end() - 1
    try:
        return start, value_end(text, start)
    except (ValueError, RecursionError):
        return start, start
