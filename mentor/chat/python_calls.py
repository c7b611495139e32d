"""Calls in Python's notation: `[add(a=1, b=2), search(query="x")]`, between marks or as the whole turn."""

from __future__ import annotations

import re
from typing import Any

from mentor.chat.literals import entries, read_literal, skip
from mentor.chat.parsed import FoundCall, ParsedCall, Schemas, malformed
from mentor.chat.sections import find_sections, placed
from mentor.chat.spelling import Spelling, pattern

HEAD = re.compile(r"\s*(?P<name>[^\W\d][\w.-]{0,255})\s*\(")
KEY = re.compile(r"(?P<key>[^\W\d]\w{0,255})\s*=(?!=)")
BEGIN = re.compile(r"\[\s*[^\W\d][\w.-]{0,255}\((?:\s*\)|\s*[^\W\d]\w{0,255}\s*=(?!=))")


class PythonCalls:
    """Reads the form `python`. Without a mark a turn is calls as a whole, where it begins like one."""

    def __init__(self, spelling: Spelling) -> None:
        opening, closing = (part.strip() for part in spelling.section)
        self._brackets = opening.endswith("[")
        self._open, self._close = opening.removesuffix("[").strip(), closing.removeprefix("]").strip()
        self._end = "]" if self._brackets else self._close
        self._closing = re.compile(rf"\s*{pattern(self._close)}")
        self.mention = re.compile(re.escape(self._open)) if self._open else BEGIN

    def find(self, text: str, schemas: Schemas) -> list[FoundCall]:
        if not self._open:
            start = skip(text, 0)
            return self._section(text, start, start, len(text)) if BEGIN.match(text, start) else []
        return find_sections(text, self._open, self._section)

    def _section(self, text: str, start: int, body: int, limit: int) -> list[FoundCall]:
        """Read the calls of one section; where it is broken, one malformed call up to its closing mark or `limit`."""
        try:
            calls, end = self._calls(text, skip(text, body))
        except ValueError as error:
            close = text.find(self._close, body, limit) if self._close else -1
            end = limit if close < 0 else close + len(self._close)
            return [FoundCall(start, end, malformed(f"not calls as Python writes them: {str(error)[:80]}"))]
        return placed(calls, start, body, end)

    def _calls(self, text: str, start: int) -> tuple[list[ParsedCall], int]:
        calls: list[ParsedCall] = []
        if self._brackets:
            if not text.startswith("[", start):
                raise ValueError("expected [")
            start = skip(text, start + 1)
        while not text.startswith(self._end, start):
            call, end = self._call(text, start)
            calls.append(call)
            start = skip(text, end)
            if text.startswith(",", start):
                start = skip(text, start + 1)
            elif self._brackets and not text.startswith("]", start):
                raise ValueError("expected , or ]" if start < len(text) else "] is missing")
        if not calls:
            raise ValueError("no call")
        closing = self._closing.match(text, start + len("]") if self._brackets else start)
        if closing is None:
            raise ValueError(f"{self._close} is missing")
        if not self._open and text[closing.end() :].strip():
            raise ValueError("text after the calls")
        return calls, closing.end()

    def _call(self, text: str, start: int) -> tuple[ParsedCall, int]:
        head = HEAD.match(text, start)
        if head is None:
            raise ValueError(f"expected name( at {text[start : start + 20]!r}")
        arguments: dict[str, Any] = {}

        def entry(place: int) -> int:
            key = KEY.match(text, place)
            if key is None:
                raise ValueError(f"expected key= at {text[place : place + 20]!r}")
            if key["key"] in arguments:
                raise ValueError(f"argument {key['key'][:60]!r} is given twice")
            arguments[key["key"]], end = read_literal(text, key.end())
            return end

        end = entries(text, head.end(), ")", entry)
        return ParsedCall(head["name"], arguments), end
