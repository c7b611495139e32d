r"""Rows of mathematics benchmarks: AIME, AMC, Minerva, MATH-500, OlympiadBench, Omni-MATH and others of their shapes.

Their schemas differ, so each row is read by the keys it has: the question is `problem` or else `question`; the answer
is `answer`, or else OlympiadBench's `final_answer` (a list; the unit that few rows name beside it is not asked for), or
else the last `\boxed{}` of `solution` (Minerva).
"""

from __future__ import annotations

import re
from pathlib import Path

from mentor.errors import InputError
from mentor.rewards.boxed import extract_boxed
from mentor.rows import Row, answer_field, describe, read_rows, text_field, without_nulls
from mentor.types import Task

ID_KEYS = ("unique_id", "id", "idx")
ACCEPTED = "`answer`, `final_answer`, or a `solution` with a \\boxed{} answer"
_OPEN, _CLOSE = re.compile(r"(?<!\\)\{"), re.compile(r"(?<!\\)\}")


def load_math(path: str, split: str, key: str = "task.path") -> list[Task]:
    """Tasks of one file; ids are `<file>-<the row's own id>`, else its number from 0.

    Worked solutions are left out. Raises InputError naming the row for a missing question or
    answer, or an id that comes twice.
    """
    stem = Path(path).name.split(".")[0]
    tasks: list[Task] = []
    first_place: dict[str, str] = {}
    for index, (place, given) in enumerate(read_rows(Path(path), key)):
        row = without_nulls(given)
        task_id = f"{stem}-{_own_id(row, place) or f'{index:06d}'}"
        if task_id in first_place:
            raise InputError(f"{place}: id {task_id!r} was given before at {first_place[task_id]}")
        first_place[task_id] = place
        question = text_field(row, "problem" if "problem" in row else "question", place)
        tasks.append(Task(task_id, question, _answers(row, place), toolset="", split=split))
    return tasks


def _own_id(row: Row, place: str) -> str | None:
    value = next((row[key] for key in ID_KEYS if row.get(key, "") != ""), None)
    if value is not None and (isinstance(value, bool) or not isinstance(value, str | int)):
        raise InputError(f"{place}: the id is {describe(value)}, accepted: a string or a whole number")
    return None if value is None else str(value)


def _answers(row: Row, place: str) -> tuple[str, ...]:
    """The accepted answers; the entries of `final_answer` are all asked for, so they are one text."""
    if "answer" in row:
        found = answer_field(row, "answer", place)
    elif "final_answer" in row:
        found = (", ".join(answer_field(row, "final_answer", place)),)
    else:
        solution = row.get("solution")
        boxed = extract_boxed(solution) if isinstance(solution, str) else None
        if boxed is None:
            raise InputError(f"{place}: no answer, given: {', '.join(map(repr, row))}; accepted: {ACCEPTED}")
        found = (boxed,)
    return tuple(map(closed, found))


def closed(answer: str) -> str:
    """The answer with the braces that it leaves open closed at its end, as a few of Omni-MATH's do."""
    return answer + "}" * max(0, len(_OPEN.findall(answer)) - len(_CLOSE.findall(answer)))
