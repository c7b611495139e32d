"""Where questions come from: generated programs, GSM8K, RL data sets, BFCL, a user's own rows or a teacher's traces."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from mentor.errors import InputError
from mentor.rows import source_rows
from mentor.rows.row_sources import has_splits, is_hub_name
from mentor.tasks.bfcl import load_single_turn
from mentor.tasks.calculator import check_disjoint, generate
from mentor.tasks.call_rows import CallRows
from mentor.tasks.gsm8k import SUBSET, Gsm8kRows
from mentor.tasks.mathematics import MathRows
from mentor.tasks.multihop_qa import MultihopRows
from mentor.tasks.questions import QuestionRows
from mentor.tasks.rl_rows import RlRows
from mentor.tasks.row_kind import BadRows, RowKind, read_tasks
from mentor.tasks.trace_rows import load_traces
from mentor.types import Task

ROW_KINDS: dict[str, Callable[[Mapping[str, str | None], str, Mapping[str, str]], RowKind]] = {
    "gsm8k": lambda columns, stem, placeholders: Gsm8kRows(columns),
    "math": lambda columns, stem, placeholders: MathRows(columns, stem),
    "multihop_qa": lambda columns, stem, placeholders: MultihopRows(columns),
    "rl_rows": lambda columns, stem, placeholders: RlRows(columns, placeholders),
    "jsonl": lambda columns, stem, placeholders: QuestionRows(columns),
    "calls": lambda columns, stem, placeholders: CallRows(columns),
}
"""The kind of rows of each task that `read_tasks` reads: from `task.columns`, the file's name, `task.placeholders`."""

SOURCES = ("calculator", *ROW_KINDS, "bfcl", "traces")


def load_tasks(
    name: str,
    path: str | None = None,
    subset: str | None = None,
    split: str = "train",
    size: int = 600,
    max_steps: int = 3,
    seed: int = 0,
    columns: Mapping[str, str | None] | None = None,
    placeholders: Sequence[str] = (),
    form: str = "auto",
    bad_rows: str = "refuse",
    splits: Sequence[str] | None = None,
    where: str = "task",
    skipped: list[str] | None = None,
) -> list[Task]:
    """Load the tasks of every split in `splits` (only `split` when None), in a fixed order.

    path: a file, a folder of shards or in the Hub's layout, or a name on the Hub. size: tasks of each generated split;
    rows are all loaded. columns: see `row_kind`. where: config key for messages. skipped: with bad_rows=skip gets a
    line for each row that was left out. Raises InputError for an unknown name, a missing path or an unusable row.
    """
    wanted = list(splits) if splits is not None else [split]
    if name == "calculator":
        tasks = [task for label in wanted for task in generate(label, size, max_steps, seed)]
        check_disjoint(tasks)
        return tasks
    if name not in SOURCES:
        raise InputError(f"{where}.name={name}: no such task, accepted: {', '.join(SOURCES)}")
    if path is None:
        raise InputError(f"{where}.path is needed: a file or folder of {name} rows, or a name on the Hub")
    if len(wanted) != 1 and not has_splits(path):
        raise InputError(f"{where}.path={path}: one file is one split, given: {', '.join(wanted)}")
    left_out = [] if skipped is None else skipped
    tasks = []
    for label in wanted:
        bad = BadRows(left_out if bad_rows == "skip" else None)
        tasks += _split_tasks(name, path, subset, label, columns or {}, placeholders, form, bad, where)
    return tasks


def _split_tasks(
    name: str,
    path: str,
    subset: str | None,
    split: str,
    columns: Mapping[str, str | None],
    placeholders: Sequence[str],
    form: str,
    bad: BadRows,
    where: str,
) -> list[Task]:
    if name == "gsm8k" and is_hub_name(path):
        subset = subset or SUBSET
    if name == "bfcl":
        return load_single_turn(path, split, f"{where}.path", bad)
    rows = source_rows(path, split, subset, f"{where}.path", bad.add)
    if name == "traces":
        return load_traces(rows, path, split, form, columns, bad, where)
    stem = Path(path).name.split(".")[0]
    kind = ROW_KINDS[name](columns, stem, dict(_pair(entry) for entry in placeholders))
    return read_tasks(rows, kind, stem, split, bad, path, where)


def _pair(placeholder: str) -> tuple[str, str]:
    """`text=replacement`, at the first sign."""
    text, _, replacement = placeholder.partition("=")
    return text, replacement
