"""A text that a regular expression matches, whose first group is an answer: what a teacher and the lint write."""

from __future__ import annotations

import re
from collections.abc import Iterable
from re import _constants as codes  # type: ignore[attr-defined]
from re import _parser as parser  # type: ignore[attr-defined]
from typing import Any

_OF_CATEGORY = {
    codes.CATEGORY_DIGIT: "0",
    codes.CATEGORY_SPACE: " ",
    codes.CATEGORY_WORD: "a",
    codes.CATEGORY_NOT_DIGIT: "a",
    codes.CATEGORY_NOT_SPACE: "a",
    codes.CATEGORY_NOT_WORD: " ",
}


def text_matching(pattern: str, first_group: str) -> str:
    """Return a short text that the pattern should match; without a group in it, `first_group`.

    Repeats are as few as allowed, of alternatives the first is taken. What stands in no plain text (a look around, a
    group named again) is left out, so a caller looks whether the text matches. A pattern that `re` cannot read gives
    `first_group` too.
    """
    try:
        parsed = parser.parse(pattern)
    except re.error:
        return first_group
    return _text(parsed, first_group) if parsed.state.groups > 1 else first_group


def _text(parts: Iterable[tuple[Any, Any]], group: str) -> str:
    return "".join(_one(code, value, group) for code, value in parts)


def _one(code: Any, value: Any, group: str) -> str:
    if code is codes.SUBPATTERN:
        return group if value[0] == 1 else _text(value[3], group)
    if code in (codes.MAX_REPEAT, codes.MIN_REPEAT, codes.POSSESSIVE_REPEAT):
        fewest = max(value[0], 1 if _has_group(value[2]) else 0)
        return _text(value[2], group) * fewest
    if code is codes.BRANCH:
        return _text(next((branch for branch in value[1] if _has_group(branch)), value[1][0]), group)
    if code is codes.LITERAL:
        return chr(value)
    if code is codes.IN:
        return _text(value[:1], group)
    if code is codes.RANGE:
        return chr(value[0])
    if code is codes.CATEGORY:
        return _OF_CATEGORY.get(value, "")
    if code is codes.ATOMIC_GROUP:
        return _text(value, group)
    return "a" if code in (codes.ANY, codes.NOT_LITERAL) else ""


def _has_group(parts: Iterable[tuple[Any, Any]]) -> bool:
    """Whether the first group is inside."""
    for code, value in parts:
        if code is codes.SUBPATTERN and (value[0] == 1 or _has_group(value[3])):
            return True
        if code in (codes.MAX_REPEAT, codes.MIN_REPEAT, codes.POSSESSIVE_REPEAT) and _has_group(value[2]):
            return True
        if code is codes.BRANCH and any(map(_has_group, value[1])):
            return True
    return False
