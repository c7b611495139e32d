"""Rows of multi-hop questions: HotpotQA, 2WikiMultihopQA, MuSiQue and Bamboogle, as published or in a trainer's form.

Each row is read by the keys it has. The question is `question`, else verl's `extra_info.question` (its `prompt` also
holds instructions). The answers are FlashRAG's `golden_answers`, or `answer` with MuSiQue's `answer_aliases`, or verl's
`reward_model.ground_truth`. Passages in a row are left out: they are for the corpus of `tools=search`.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from mentor.errors import InputError
from mentor.rows import Row, answer_field, describe, json_field, read_rows, text_field, without_nulls
from mentor.types import Task

ACCEPTED = "`golden_answers`, `answer`, or `reward_model` with `ground_truth`"


def load_multihop_qa(path: str, split: str, key: str = "task.path") -> list[Task]:
    """Tasks of one file, a row with `answerable: false` left out; ids are the rows' own, else the row's number from 0.

    Raises InputError naming the row for a missing question or answer, or an id that comes twice.
    """
    stem = Path(path).name.split(".")[0]
    tasks: list[Task] = []
    first_place: dict[str, str] = {}
    for index, (place, given) in enumerate(read_rows(Path(path), key)):
        row = _opened(without_nulls(given), place)
        if row.get("answerable") is False:
            continue
        task_id = _own_id(row, place) or f"{stem}-{index:06d}"
        if task_id in first_place:
            raise InputError(f"{place}: id {task_id!r} was given before at {first_place[task_id]}")
        first_place[task_id] = place
        tasks.append(Task(task_id, _question(row, place), _answers(row, place), toolset="", split=split))
    if not tasks:
        raise InputError(f"{path}: no row is answerable")
    return tasks


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
