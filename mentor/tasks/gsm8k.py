"""GSM8K rows (arXiv:2110.14168): grade-school word problems with a worked answer."""

from __future__ import annotations

import re
from typing import Any

from mentor.errors import InputError
from mentor.rows import Row, text_field
from mentor.tasks.row_kind import RowKind

GOLD = re.compile(r"####\s*(\S[^\n]*)")
SUBSET = "main"  # of the data set on the Hub


class Gsm8kRows(RowKind):
    """The answer is the text after `####` without commas, `source["solution"]` the worked answer."""

    toolset = "calculator"

    def identifier(self, row: Row, place: str) -> str | None:
        return None

    def answer(self, row: Row, place: str) -> tuple[str, ...]:
        return (text_field(row, "answer", place),)

    def accepted(self, answer: str, place: str) -> str:
        gold = GOLD.search(answer)
        if gold is None:
            raise InputError(
                f"{place}: answer ends in {answer[-30:]!r}, accepted: a worked answer with '#### <number>'"
            )
        return gold.group(1).replace(",", "").strip()

    def source(self, row: Row, place: str) -> dict[str, Any]:
        return {"solution": text_field(row, self.named.get("answer", "answer"), place)}
