"""What a parser of calls finds: attempted calls, and the characters that spell them. A malformed call is data."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

Schemas = Mapping[str, Mapping[str, Any]]
"""Tool name -> its `parameters`: what gives an argument its type where a syntax writes plain text."""


@dataclass(frozen=True)
class ParsedCall:
    """One attempted call. problem: why it is malformed, in a few words; None for a well-formed one."""

    name: str | None
    arguments: dict[str, Any]
    problem: str | None = None


@dataclass(frozen=True)
class FoundCall:
    """A call and the characters [start, end) that spell it."""

    start: int
    end: int
    call: ParsedCall


def malformed(problem: str, name: str | None = None) -> ParsedCall:
    return ParsedCall(name, {}, problem)
