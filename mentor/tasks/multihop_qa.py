"""Rows of multi-hop questions: HotpotQA, 2WikiMultihopQA, MuSiQue and Bamboogle, as published or in a trainer's form.

Each row is read by the keys it has. The question is `question`, else verl's `extra_info.question` (its `prompt` also
holds instructions). The answers are FlashRAG's `golden_answers`, or `answer` with MuSiQue's `answer_aliases`, or verl's
`reward_model.ground_truth`. Passages in a row are left out: they are for the corpus of `tools=search`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from mentor.errors import InputError
from mentor.rows import Row, answer_field, describe, json_field, text_field, without_nulls
from mentor.tasks.prompts import Message
from mentor.tasks.row_kind import RowKind

ACCEPTED = "`golden_answers`, `answer`, or `reward_model` with `ground_truth`"


class MultihopRows(RowKind):
    """A row with `answerable: false` is left out."""

    def opened(self, row: Row, place: str) -> Row | None:
        opened = _opened(without_nulls(row), place)
        return None if opened.get("answerable") is False else opened

    def prompt(self, row: Row, place: str) -> tuple[tuple[Message, ...], str]:
        return (), _question(row, place)

    def answer(self, row: Row, place: str) -> tuple[str, ...]:
        return _answers(row, place)

    def identifier(self, row: Row, place: str) -> str | None:
        return _own_id(row, place)


def _opened(row: Row, place: str) -> Row:
    """With verl's two objects as objects, where they are JSON text."""
    return row | {
        key: json_field(row[key], f"{place}: {key}", "an object or its JSON text")
        for key in ("extra_info", "reward_model")
        if isinstance(row.get(key), str) and row[key].strip()
    }


def _own_id(row: Row, place: str) -> str | None:
    value = row.get("id", row.get("_id"))
    if value is not None and (isinstance(value, bool) or not isinstance(value, str | int)):
        raise InputError(f"{place}: the id is {describe(value)}, accepted: a string or a whole number")
    return None if value is None or value == "" else str(value)


def _question(row: Row, place: str) -> str:
    extra = row.get("extra_info")
    if "question" not in row and isinstance(extra, Mapping) and "question" in extra:
        return text_field(dict(extra), "question", f"{place}: extra_info").strip()
    return text_field(row, "question", place).strip()


def _answers(row: Row, place: str) -> tuple[str, ...]:
    """Every accepted answer, once."""
    truth: Any = row.get("reward_model")
    if "golden_answers" in row and (row["golden_answers"] != [] or "answer" not in row):
        found = answer_field(row, "golden_answers", place)
    elif "answer" in row:
        aliases = answer_field(row, "answer_aliases", place) if row.get("answer_aliases") else ()
        found = (*answer_field(row, "answer", place), *aliases)
    elif isinstance(truth, Mapping):
        found = answer_field(dict(truth), "ground_truth", f"{place}: reward_model")
    else:
        raise InputError(f"{place}: no answer, given: {', '.join(map(repr, row))}; accepted: {ACCEPTED}")
    return tuple(dict.fromkeys(found))
