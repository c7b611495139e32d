"""Any rows with a question and an answer, optionally with reference calls, tools and a system text of their own."""

from __future__ import annotations

from mentor.rows import Row, value_field
from mentor.tasks.prompts import Message, read_prompt
from mentor.tasks.row_calls import read_calls
from mentor.tasks.row_kind import RowKind, optional_text
from mentor.types import ToolCall


class QuestionRows(RowKind):
    """`question`, `answer`, and where a row has them `reference`, `id`, `tools` and `system`."""

    def prompt(self, row: Row, place: str) -> tuple[tuple[Message, ...], str]:
        return read_prompt(value_field(row, "question", place), place, "question")

    def system(self, row: Row, place: str) -> str | None:
        return optional_text(row, "system", place)

    def reference(self, row: Row, place: str) -> tuple[ToolCall, ...] | None:
        return read_calls(row.get("reference"), f"{place}: reference")
