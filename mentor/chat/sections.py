"""Sections of calls, opened by a mark: how those of a text are found, and which characters their calls have."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from mentor.chat.parsed import FoundCall, ParsedCall

ReadSection = Callable[[str, int, int, int], list[FoundCall]]
"""text, start, body, limit -> calls. start: of the mark. body: behind it. limit: the next mark or the text's end."""


def find_sections(text: str, mark: str, read: ReadSection) -> list[FoundCall]:
    """Read every section of a text; `read` finds at least one call in each."""
    found: list[FoundCall] = []
    start = text.find(mark)
    while start >= 0:
        body = start + len(mark)
        following = text.find(mark, body)
        found += read(text, start, body, len(text) if following < 0 else following)
        start = text.find(mark, found[-1].end)
    return found


def placed(calls: Sequence[ParsedCall], start: int, body: int, end: int) -> list[FoundCall]:
    """Give the calls of a section its characters: the first its mark, the last all others."""
    ends = [*[body] * (len(calls) - 1), end]
    starts = [start, *[body] * (len(calls) - 1)]
    return [FoundCall(a, b, call) for a, b, call in zip(starts, ends, calls, strict=True)]
