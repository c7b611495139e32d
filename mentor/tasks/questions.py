"""Any rows with a question and an answer, optionally with reference calls, under keys the user names."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from mentor.errors import InputError
from mentor.rows import Row, answer_field, describe, json_field, read_rows, text_field
from mentor.types import Task, ToolCall

ACCEPTED_CALLS = "a list of {name, arguments} objects or of OpenAI tool calls, also as JSON text"


def load_jsonl(
    path: str,
    split: str,
    question_key: str = "question",
    answer_key: str = "answer",
    reference_key: str = "reference",
    id_key: str = "id",
    key: str = "task.path",
) -> list[Task]:
    """Load tasks from a JSONL or parquet file; ids from `id_key`, else the file's name and the row's number from 0.

    The toolset is left empty: the stage's tools decide. Raises InputError naming the row for any unusable field.
    """
    tasks: list[Task] = []
    first_place: dict[str, str] = {}
    stem = Path(path).name.split(".")[0]
    for index, (place, row) in enumerate(read_rows(Path(path), key)):
        task_id = _identifier(row, id_key, place) or f"{stem}-{index:06d}"
        if task_id in first_place:
            raise InputError(f"{place}: {id_key} {task_id!r} was given before at {first_place[task_id]}")
        first_place[task_id] = place
        tasks.append(
            Task(
                id=task_id,
                question=text_field(row, question_key, place),
                answer=answer_field(row, answer_key, place),
                toolset="",
                split=split,
                reference=_reference(row.get(reference_key), reference_key, place),
            )
        )
    return tasks


def _identifier(row: Row, key: str, place: str) -> str | None:
    value = row.get(key)
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, str | int) or value == "":
        raise InputError(f"{place}: {key} is {describe(value)}, accepted: a string or a whole number")
    return str(value)


def _reference(value: Any, key: str, place: str) -> tuple[ToolCall, ...] | None:
    if isinstance(value, str):  # parquet and CSV often hold it as JSON text
        value = json_field(value, f"{place}: {key}", ACCEPTED_CALLS)
    if value is None:
        return None
    if not isinstance(value, list):
        raise InputError(f"{place}: {key} is {describe(value)}, accepted: {ACCEPTED_CALLS}")
    return tuple(_call(entry, f"{place}: {key}[{index}]") for index, entry in enumerate(value))


def _call(entry: Any, where: str) -> ToolCall:
    function = entry.get("function", entry) if isinstance(entry, dict) else None
    if not isinstance(function, dict) or not isinstance(function.get("name"), str):
        raise InputError(f"{where} is {describe(entry)}, accepted: {ACCEPTED_CALLS}")
    arguments = function.get("arguments", {})
    if isinstance(arguments, str):  # as OpenAI writes them
        arguments = json_field(arguments, f"{where}.arguments", "a JSON object")
    if not isinstance(arguments, dict):
        raise InputError(f"{where}.arguments is {describe(arguments)}, accepted: an object")
    return ToolCall(function["name"], arguments)
