r"""Rows of mathematics benchmarks: AIME, AMC, Minerva, MATH-500, OlympiadBench, Omni-MATH and others of their shapes.

Their schemas differ, so each row is read by the keys it has: the question is `problem` or else `question`; the answer
is `answer`, or else OlympiadBench's `final_answer` (a list; the unit that few rows name beside it is not asked for), or
else the last `\boxed{}` of `solution` (Minerva).
"""

from __future__ import annotations

import re
from collections.abc import Mapping

from mentor.errors import InputError
from mentor.rewards.boxed import extract_boxed
from mentor.rows import Row, answer_field, describe, text_field, without_nulls
from mentor.tasks.prompts import Message
from mentor.tasks.row_kind import RowKind

ID_KEYS = ("unique_id", "id", "idx")
ACCEPTED = "`answer`, `final_answer`, or a `solution` with a \\boxed{} answer"
_OPEN, _CLOSE = re.compile(r"(?<!\\)\{"), re.compile(r"(?<!\\)\}")


class MathRows(RowKind):
    """ids are `<file>-<the row's own id>`. Worked solutions are left out. stem: the file's name."""

    def __init__(self, columns: Mapping[str, str | None], stem: str) -> None:
        super().__init__(columns)
        self.stem = stem

    def opened(self, row: Row, place: str) -> Row:
        opened: Row = without_nulls(row)
        return opened

    def prompt(self, row: Row, place: str) -> tuple[tuple[Message, ...], str]:
        return (), text_field(row, "problem" if "problem" in row else "question", place)

    def answer(self, row: Row, place: str) -> tuple[str, ...]:
        return _answers(row, place)

    def accepted(self, answer: str, place: str) -> str:
        return closed(answer)

    def identifier(self, row: Row, place: str) -> str | None:
        value = next((row[key] for key in ID_KEYS if row.get(key, "") != ""), None)
        if value is not None and (isinstance(value, bool) or not isinstance(value, str | int)):
            raise InputError(f"{place}: the id is {describe(value)}, accepted: a string or a whole number")
        return None if value is None else f"{self.stem}-{value}"


def _answers(row: Row, place: str) -> tuple[str, ...]:
    """The accepted answers; the entries of `final_answer` are all asked for, so they are one text."""
    if "answer" in row:
        return answer_field(row, "answer", place)
    if "final_answer" in row:
        return (", ".join(answer_field(row, "final_answer", place)),)
    solution = row.get("solution")
    boxed = extract_boxed(solution) if isinstance(solution, str) else None
    if boxed is None:
        raise InputError(f"{place}: no answer, given: {', '.join(map(repr, row))}; accepted: {ACCEPTED}")
    return (boxed,)


def closed(answer: str) -> str:
    """The answer with the braces that it leaves open closed at its end, as a few of Omni-MATH's do."""
    return answer + "}" * max(0, len(_OPEN.findall(answer)) - len(_CLOSE.findall(answer)))
