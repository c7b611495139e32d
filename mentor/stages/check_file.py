"""`stage=check task.path=FILE`: what an unknown file holds, what of it would be read, and the keys that read it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

from mentor.config import TaskConfig
from mentor.errors import InputError
from mentor.rows import Row, source_rows
from mentor.tasks.call_rows import CallRows
from mentor.tasks.requested_format import other_format
from mentor.tasks.row_kind import BadRows
from mentor.tasks.trace_rows import ReadRow, read_traces
from mentor.teachers.recorded import count_traces
from mentor.traces.forms import count_forms

ANSWERS = ("answer", "ground_truth", "final_answer", "gold_answer", "gold", "target", "label")
QUESTIONS = ("question", "problem", "query", "prompt", "input", "instruction")
KINDS = {str: "text", bool: "true or false", int: "numbers", float: "numbers", list: "lists", dict: "objects"}
SEEN = 20  # rows that are looked at for calls in place of an answer
REASONS = 5  # of refusals that are shown, each with a row


def describe_file(task: TaskConfig) -> list[str]:
    """Describe the file of task.path in lines; the last is a command, where one can read it. Raises InputError."""
    path, bad = str(task.path), BadRows([])
    placed = list(source_rows(path, task.split, task.subset, "task.path", bad.add))
    rows = [row for _, row in placed]
    lines = [f"{path}: {len(rows)} rows", *(f"  {line}" for line in columns(rows))]
    if bad.lines:
        lines.append(f"{len(bad.lines)} more rows are none, first {bad.lines[0]}")
    bad.settle(len(rows), path, "task")
    forms = count_forms(rows)
    if not forms and task.form == "auto":
        proposed = other_rows(rows, path)
        return [*lines, "form: no conversations", *proposed[:-1], proposed[-1] + format_key(rows, task)]
    chosen, read, _ = read_traces(placed, path, task.form, asdict(task.columns), "task.path")
    fitting = ", ".join(f"{number} {name}" for name, number in forms.most_common()) or "none known"
    lines.append(f"form: {chosen.name} (rows by the form that fits each: {fitting})")
    return [*lines, *what_is_read(read), *command(rows, path, task, any(row.answer for row in read))]


def columns(rows: Sequence[Row]) -> list[str]:
    """Describe each column: the types of its values, and in how many rows it stands where that is not all."""
    found: dict[str, Counter[str]] = {}
    for row in rows:
        for name, value in row.items():
            found.setdefault(name, Counter())[KINDS.get(type(value), "null")] += 1
    lines = []
    for name, kinds in found.items():
        share = "" if kinds.total() == len(rows) else f", in {kinds.total()} rows"
        lines.append(f"{name}: {' or '.join(kind for kind, _ in kinds.most_common())}{share}")
    return lines


def what_is_read(read: Sequence[ReadRow]) -> list[str]:
    """Count what the traces hold, and the refused rows by reason with one row of each."""
    held = [row.trace for row in read if row.trace is not None]
    refused = [row.refusal for row in read if row.refusal is not None]
    counts = ", ".join(f"{number} {name.replace('_', ' ')}" for name, number in count_traces(held).items() if number)
    lines = [f"conversations: {len(held)} of {len(read)} rows can be read; {counts}"]
    lines.append(
        f"would be kept: {len(read) - len(refused)} rows, {sum(bool(row.answer) for row in read)} with an answer"
    )
    made = sum(row.made_tools for row in read)
    if made:
        lines.append(f"tools: {made} rows with calls list none; schemas would be made from the calls")
    reasons = Counter(reason for reason, _ in refused)
    for reason, number in reasons.most_common(REASONS):
        lines.append(f"refused: {number} {reason}, such as {next(line for name, line in refused if name == reason)}")
    return lines


def command(rows: Sequence[Row], path: str, task: TaskConfig, answered: bool) -> list[str]:
    """The command that reads the file as traces; `answered`: with the keys as they are, rows have an answer."""
    keys = [] if task.form == "auto" else [f"task.form={task.form}"]
    keys += [] if task.columns.answer is None else [f"task.columns.answer={task.columns.answer}"]
    other = next((name for name in ANSWERS if any(_is_answer(row.get(name)) for row in rows)), None)
    if not answered and other is not None:
        keys.append(f"task.columns.answer={other}")
    return [" ".join(["read it with: mentor stage=rollout teacher=traces", f"task.path={path}", *keys])]


def other_rows(rows: Sequence[Row], path: str) -> list[str]:
    """Propose the task that reads rows without conversations, by their columns."""
    first: Mapping[str, Any] = rows[0]
    question = next((name for name in QUESTIONS if name in first), None)
    answer = next((name for name in ANSWERS if name in first), None)
    if isinstance(first.get("question"), list) and "function" in first:
        return [f"read it with: task=bfcl task.path={path} tools=row"]
    if any(map(_asks_for_calls, rows[:SEEN])):
        return [f"read it with: task=calls task.path={path} tools=row"]
    if "reward_model" in first:
        return [f"read it with: task=rl_rows task.path={path}"]
    if "golden_answers" in first or "answer_aliases" in first:
        return [f"read it with: task=multihop_qa task.path={path}"]
    if question is None or answer is None:
        return ["no question and answer was found by name: task=jsonl reads rows by task.columns.question and .answer"]
    if "####" in str(first[answer]):
        return [f"read it with: task=gsm8k task.path={path} teacher=annotated"]
    if question == "problem":
        return [f"read it with: task=math task.path={path}"]
    keys = [
        f"task.columns.{kind}={name}" for kind, name in (("question", question), ("answer", answer)) if name != kind
    ]
    return [" ".join([f"read it with: task=jsonl task.path={path}", *keys])]


def format_key(rows: Sequence[Row], task: TaskConfig) -> str:
    """The key for the format of the answer that questions ask for, with a space before it; empty for the one in use."""
    texts = (str(row[name]) for row in rows for name in QUESTIONS if name in row)
    found = Counter(other for text in texts if (other := other_format(text, task.answer_format)))
    return f" task.answer_format={found.most_common(1)[0][0]}" if found else ""


def _asks_for_calls(row: Row) -> bool:
    """Whether a row brings tools, and calls in place of an answer."""
    kind = CallRows({})
    try:
        return kind.tools(row, "") is not None and bool(kind.calls(row, ""))
    except InputError:
        return False


def _is_answer(value: Any) -> bool:
    return isinstance(value, str | int | float) and not isinstance(value, bool) and value != ""
