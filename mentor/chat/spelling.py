"""How a syntax spells calls, as data: literal text around a call's name and arguments.

White space between the marks of a spelling is free when a call is read, and written as it stands.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Any

from mentor.chat.literals import write_literal, write_map
from mentor.chat.plain_values import write_value
from mentor.errors import InputError

FORMS = ("object", "list", "json", "pairs", "python", "map", "channel")


@dataclass(frozen=True)
class Spelling:
    """One way to spell calls.

    call: one call, with `{name}` and `{arguments}`; with `{object}` for forms `object` and `list`, whose calls are JSON
    objects with the `keys` of name and arguments. `{number}` is the call's place in its turn, `{id}` its id.
    arguments: the form they are written in: a JSON object (`json`), `pairs` of plain text, keyword arguments of Python
    (`python`), Gemma's `map`; `channel` is JSON in a message for the tool (gpt-oss).
    pair: one argument, with `{key}` and `{value}`. section: what stands around all calls of a turn. separator: what
    stands between two. before: what may stand before a call that is a whole turn. thinking: what opens and closes the
    thinking of the models that call so. frame: of turns of several messages, a regular expression for what opens and
    ends one, which is no part of its text; each stretch between the marks of thinking is thinking in such a turn.
    header: what opens the message of a call there, with `{name}`.
    """

    name: str
    call: str
    arguments: str = "json"
    pair: str = ""
    section: tuple[str, str] = ("", "")
    separator: str = "\n"
    keys: tuple[str, str] = ("name", "arguments")
    before: str = ""
    thinking: tuple[str, str] = ("<think>", "</think>")
    frame: str = ""
    header: str = ""

    @classmethod
    def from_values(cls, values: Any, origin: str) -> Spelling:
        """Read a user's spelling. Raises InputError naming origin and key for one that cannot be used."""
        accepted = [field.name for field in fields(cls)]
        if not isinstance(values, Mapping) or not all(isinstance(key, str) for key in values):
            raise InputError(f"{origin} holds no call syntax; accepted are the keys {', '.join(accepted)}")
        for key, value in values.items():
            pair = key in ("section", "keys", "thinking")
            fits = isinstance(value, list) and len(value) == 2 if pair else isinstance(value, str)
            if key not in accepted or not fits or (pair and not all(isinstance(part, str) for part in value)):
                said = f"accepted is {'a list of two texts' if pair else 'text'}" if key in accepted else "unknown key"
                raise InputError(f"{origin}: {key}={value!r}: {said}; keys are {', '.join(accepted)}")
        for key in ("name", "call"):
            if not values.get(key):
                raise InputError(f"{origin} lacks `{key}`; keys are {', '.join(accepted)}")
        made: dict[str, Any] = {
            key: tuple(value) if isinstance(value, list) else value for key, value in values.items()
        }
        spelling = cls(**made)
        spelling._check(origin)
        return spelling

    def _check(self, origin: str) -> None:
        if self.arguments not in FORMS:
            raise InputError(f"{origin}: arguments={self.arguments!r}, accepted are {', '.join(FORMS)}")
        needed = ("{object}",) if self.arguments in ("object", "list") else ("{name}", "{arguments}")
        for mark in needed:
            if self.call.count(mark) != 1:
                raise InputError(f"{origin}: call={self.call!r} has to hold {' and '.join(needed)} once each")
        if self.arguments == "pairs" and not re.fullmatch(r"(?s).*\S.*\{key\}.*\S.*\{value\}.*\S.*", self.pair):
            raise InputError(f"{origin}: pair={self.pair!r} has to hold {{key}} and then {{value}}, between marks")
        if self.arguments in ("json", "pairs", "map") and not self.call.partition("{name}")[0].strip():
            raise InputError(f"{origin}: call={self.call!r} has to begin with a mark before {{name}}")
        if self.arguments in ("list", "python") and not all(self.section) and not (self.arguments == "python"):
            raise InputError(f"{origin}: section={list(self.section)} has to say what opens and closes the list")
        try:
            re.compile(self.frame)
        except re.error as error:
            raise InputError(f"{origin}: frame={self.frame!r} is no regular expression: {error}") from error
        if not all(mark.strip() for mark in self.thinking):
            raise InputError(f"{origin}: thinking={list(self.thinking)} has to say what opens and closes the thinking")

    def write(self, calls: Sequence[Mapping[str, Any]]) -> str:
        """Write calls in the OpenAI shape, as a turn holds them."""
        written = [self._write_call(call, number) for number, call in enumerate(calls)]
        return self.section[0] + self.separator.join(written) + self.section[1]

    def _write_call(self, call: Mapping[str, Any], number: int) -> str:
        name, arguments = call["function"]["name"], call["function"]["arguments"]
        parts = {"{number}": str(number), "{id}": str(call.get("id", "")), "{name}": name}
        if self.arguments in ("object", "list"):
            parts["{object}"] = json.dumps(dict(zip(self.keys, (name, arguments), strict=True)), ensure_ascii=False)
        else:
            parts["{arguments}"] = self._write_arguments(arguments)
        return re.sub(r"\{\w+\}", lambda match: parts.get(match[0], match[0]), self.header + self.call)

    def _write_arguments(self, arguments: Mapping[str, Any]) -> str:
        if self.arguments in ("json", "channel"):
            return json.dumps(arguments, ensure_ascii=False)
        if self.arguments == "map":
            return write_map(arguments)
        if self.arguments == "python":
            return ", ".join(f"{key}={write_literal(value)}" for key, value in arguments.items())
        before, after = self.pair.split("{key}")
        between, after = after.split("{value}")
        return "".join(f"{before}{key}{between}{write_value(value)}{after}" for key, value in arguments.items())


def pattern(literal: str) -> str:
    """The regular expression of a literal piece: white space is free, `{number}` and `{id}` are any."""
    pieces = re.split(r"(\s+|\{number\}|\{id\})", literal)
    special = {"{number}": r"\d{1,9}", "{id}": r"[\w:.-]{1,64}"}
    return "".join(special.get(piece) or (r"\s*" if not piece.strip() else re.escape(piece)) for piece in pieces)


def first_mark(literal: str) -> str:
    """The first piece of a literal without white space; empty where there is none."""
    return next(iter(literal.split()), "")


def last_mark(literal: str) -> str:
    return next(reversed(literal.split()), "")
