"""Where questions come from: generated programs, GSM8K, RL data sets, BFCL, a user's own rows or a teacher's traces."""

from __future__ import annotations

from collections.abc import Sequence

from mentor.errors import InputError
from mentor.tasks.bfcl import load_single_turn
from mentor.tasks.calculator import check_disjoint, generate
from mentor.tasks.gsm8k import is_hub_name, load_gsm8k
from mentor.tasks.mathematics import load_math
from mentor.tasks.multihop_qa import load_multihop_qa
from mentor.tasks.questions import load_jsonl
from mentor.tasks.rl_rows import load_rl_rows
from mentor.tasks.trace_rows import load_traces
from mentor.types import Task

SOURCES = ("calculator", "gsm8k", "math", "multihop_qa", "rl_rows", "jsonl", "bfcl", "traces")


def load_tasks(
    name: str,
    path: str | None = None,
    split: str = "train",
    size: int = 600,
    max_steps: int = 3,
    seed: int = 0,
    question_key: str = "question",
    answer_key: str = "answer",
    reference_key: str = "reference",
    id_key: str = "id",
    placeholders: Sequence[str] = (),
    form: str = "auto",
    splits: Sequence[str] | None = None,
    where: str = "task",
) -> list[Task]:
    """Load the tasks of every split in `splits` (only `split` when None), in a fixed order.

    size: tasks of each generated split; the files and the hub give all their rows. where: config key for messages.
    Raises InputError for an unknown name, a missing path or an unusable row.
    """
    wanted = list(splits) if splits is not None else [split]
    if name == "calculator":
        tasks = [task for label in wanted for task in generate(label, size, max_steps, seed)]
        check_disjoint(tasks)
        return tasks
    if name not in SOURCES:
        raise InputError(f"{where}.name={name}: no such task, accepted: {', '.join(SOURCES)}")
    if path is None:
        raise InputError(f"{where}.path is needed: a file of {name} rows{' or a hub name' * (name == 'gsm8k')}")
    if name == "gsm8k" and is_hub_name(path):
        return [task for label in wanted for task in load_gsm8k(path, label, f"{where}.path")]
    if len(wanted) != 1:
        raise InputError(f"{where}.path={path}: one file is one split, given: {', '.join(wanted)}")
    if name == "gsm8k":
        return load_gsm8k(path, wanted[0], f"{where}.path")
    if name == "math":
        return load_math(path, wanted[0], f"{where}.path")
    if name == "multihop_qa":
        return load_multihop_qa(path, wanted[0], f"{where}.path")
    if name == "rl_rows":
        return load_rl_rows(path, wanted[0], dict(_pair(entry) for entry in placeholders), f"{where}.path")
    if name == "traces":
        return load_traces(path, wanted[0], form, answer_key, id_key, f"{where}.path")
    if name == "bfcl":
        return load_single_turn(path, wanted[0], f"{where}.path")
    return load_jsonl(path, wanted[0], question_key, answer_key, reference_key, id_key, f"{where}.path")


def _pair(placeholder: str) -> tuple[str, str]:
    """`text=replacement`, at the first sign."""
    text, _, replacement = placeholder.partition("=")
    return text, replacement
