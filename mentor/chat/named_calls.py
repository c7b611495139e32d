"""Calls whose name stands outside the arguments: `<function=add><parameter=a>1</parameter></function>` and kin."""

from __future__ import annotations

import re
from typing import Any

from mentor.chat.json_text import read_json, value_end
from mentor.chat.literals import read_map, skip
from mentor.chat.parsed import FoundCall, ParsedCall, Schemas, malformed
from mentor.chat.plain_values import read_value
from mentor.chat.spelling import Spelling, first_mark, last_mark, pattern

NAME = r"""(?P<name>[^\s<>{}()\[\]"'|]{1,256}?)"""


class NamedCalls:
    """Reads spellings of the forms `json`, `pairs` and `map`."""

    def __init__(self, spelling: Spelling) -> None:
        before, after = spelling.call.split("{name}")
        between, after = after.split("{arguments}")
        begin, end = spelling.section
        self._open, self._close = first_mark(before), last_mark(after) or ""
        self._head = re.compile(pattern(before.strip()) + r"\s*" + NAME + pattern(between) + _until(between))
        self._tail = re.compile(r"\s*" + pattern(after.strip()))
        self._section, self._section_end = first_mark(begin), last_mark(end)
        self._section_head = re.compile(pattern(begin.strip()) + r"\s*")
        self._section_tail = re.compile(r"\s*" + pattern(end.strip()))
        marks = [mark for mark in (self._section, self._open, self._section_end, self._close) if mark]
        self._marks = re.compile("|".join(map(re.escape, dict.fromkeys(marks))))
        self._said = before.strip() + "NAME" + between.strip()
        self.mention = re.compile(re.escape(self._open))
        self._arguments = {"json": self._json, "map": self._map, "pairs": self._pairs}[spelling.arguments]
        if spelling.arguments == "pairs":
            self._read_pair_marks(spelling.pair)

    def _read_pair_marks(self, pair: str) -> None:
        before, after = pair.split("{key}")
        between, after = after.split("{value}")
        self._pair_open = pair.split("{key}")[0].strip()
        self._key = re.compile(
            rf"\s*{pattern(before.strip())}\s*(?P<key>.{{1,500}}?)\s*{pattern(between.strip())}", re.DOTALL
        )
        self._edges = between[len(between.rstrip()) :], after[: len(after) - len(after.lstrip())]
        self._value_end = after.strip()

    def find(self, text: str, schemas: Schemas) -> list[FoundCall]:
        """Find the calls; those of a section hold its marks too."""
        found: list[FoundCall] = []
        position = 0
        while match := self._marks.search(text, position):
            start = match.start()
            opens = self._section and (section := self._section_head.match(text, start))
            body = section.end() if opens and section else start
            if not text.startswith(self._open, body):
                end = max(body, match.end())
                found.append(FoundCall(start, end, malformed(f"{match[0]} without a call")))
            else:
                end, call = self._call(text, body, schemas)
                if self._section_end and (tail := self._section_tail.match(text, end)):
                    end = tail.end()
                found.append(FoundCall(start, end, call))
            position = end
        return found

    def _call(self, text: str, start: int, schemas: Schemas) -> tuple[int, ParsedCall]:
        """Read the call that begins at `start`, and where it ends."""
        head = self._head.match(text, start)
        if head is None:
            return self._broken(text, start + len(self._open), malformed(f"a call begins with {self._said}"))
        name = head["name"]
        try:
            arguments, end = self._arguments(text, head.end(), schemas.get(name, {}))
        except ValueError as error:
            return self._broken(text, head.end(), malformed(str(error)[:120], name))
        tail = self._tail.match(text, end)
        if tail is None:
            return self._broken(text, end, malformed(f"a call is not closed by {self._close}", name))
        return tail.end(), ParsedCall(name, arguments)

    def _broken(self, text: str, position: int, call: ParsedCall) -> tuple[int, ParsedCall]:
        """A malformed call ends with the next closing mark, before the next opening one, or with the text."""
        match = self._marks.search(text, position)
        if match is None:
            return len(text), call
        return (match.end() if self._close and match[0] == self._close else match.start()), call

    def _json(self, text: str, start: int, parameters: Any) -> tuple[dict[str, Any], int]:
        return read_arguments(text, start)

    def _map(self, text: str, start: int, parameters: Any) -> tuple[dict[str, Any], int]:
        values, end = read_map(text, start)
        try:
            str(values).encode()
        except UnicodeEncodeError:
            raise ValueError("half a surrogate pair is no character") from None
        return values, end

    def _pairs(self, text: str, start: int, parameters: Any) -> tuple[dict[str, Any], int]:
        values: dict[str, Any] = {}
        while text.startswith(self._pair_open, skip(text, start)):
            match = self._key.match(text, start)
            if match is None:
                raise ValueError(f"an argument begins with {self._pair_open}")
            begin = match.end()
            end = text.find(self._value_end, begin)
            if end < 0:
                raise ValueError(f"argument {match['key'][:60]!r} is not closed by {self._value_end}")
            if match["key"] in values:
                raise ValueError(f"argument {match['key'][:60]!r} is given twice")
            values[match["key"]] = read_value(self._without_edges(text[begin:end]), match["key"], parameters)
            start = end + len(self._value_end)
        return values, start

    def _without_edges(self, text: str) -> str:
        """Remove the white space that the spelling puts around a value, and no more."""
        before, after = self._edges
        text = text.removeprefix(before)
        return text.removesuffix(after)


def read_arguments(text: str, start: int) -> tuple[dict[str, Any], int]:
    """Read the JSON object that follows, and where it ends. Raises ValueError for what is none."""
    start = skip(text, start)
    if not text.startswith("{", start):
        raise ValueError("the arguments of a call are a JSON object")
    try:
        end = value_end(text, start)
        return read_json(text[start:end]), end
    except (ValueError, RecursionError) as error:
        raise ValueError(f"not valid JSON: {str(error)[:80]}") from None


def _until(between: str) -> str:
    """Where no mark ends a name, white space, a tag or the end of the text does."""
    return "" if between.strip() else r"(?=\s|<|\{|\Z)"
