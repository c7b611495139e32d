"""GSM8K rows (arXiv:2110.14168): grade-school word problems with a worked answer, from a local file or the hub."""

from __future__ import annotations

import re
from pathlib import Path

from mentor.errors import InputError, one_line
from mentor.rows import Row, read_rows, text_field
from mentor.types import Task

HUB_NAME = re.compile(r"[\w-][\w.-]*/[\w-][\w.-]*")
FILE_SUFFIXES = (".jsonl", ".json", ".gz", ".parquet", ".txt")
GOLD = re.compile(r"####\s*(\S[^\n]*)")


def load_gsm8k(path: str, split: str, key: str = "task.path") -> list[Task]:
    """Load tasks. The answer is the text after `####` without commas, `source["solution"]` the worked answer.

    Raises InputError naming the row for a missing question, answer or `####`, or when the hub cannot be read.
    """
    rows = _hub_rows(path, split, key) if is_hub_name(path) else read_rows(Path(path), key)
    stem = Path(path).name.split(".")[0]
    return [_task(row, place, f"{stem}-{index:06d}", split) for index, (place, row) in enumerate(rows)]


def is_hub_name(path: str) -> bool:
    return not Path(path).exists() and bool(HUB_NAME.fullmatch(path)) and not path.endswith(FILE_SUFFIXES)


def _task(row: Row, place: str, task_id: str, split: str) -> Task:
    question, solution = text_field(row, "question", place), text_field(row, "answer", place)
    gold = GOLD.search(solution)
    if gold is None:
        raise InputError(f"{place}: answer ends in {solution[-30:]!r}, accepted: a worked answer with '#### <number>'")
    answer = gold.group(1).replace(",", "").strip()
    return Task(task_id, question, (answer,), toolset="calculator", split=split, source={"solution": solution})


def _hub_rows(name: str, split: str, key: str) -> list[tuple[str, Row]]:
    import httpx
    from datasets import load_dataset  # type: ignore[import-untyped]

    try:
        dataset = load_dataset(name, "main", split=split)
    except (OSError, ValueError, httpx.HTTPError) as error:
        reason = one_line(error, 200)
        raise InputError(f"{key}={name}: neither a local file nor readable from the hub ({reason})") from None
    return [(f"{name}:{number}", dict(row)) for number, row in enumerate(dataset, start=1)]
