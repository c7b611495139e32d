"""Traces as tasks: a conversation is one, whose question is the last turn of the user, and `earlier` what is before it.

The task's `source` holds the conversation, for the teacher that hands it on, or why the row is none.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from mentor.errors import InputError
from mentor.rows import Row, answer_field, value_field, without_nulls
from mentor.rows.row_fields import optional_field
from mentor.rows.row_files import Placed
from mentor.rows.row_sources import fills_nulls
from mentor.tasks.row_kind import BadRows
from mentor.traces.forms import find_form
from mentor.traces.forms.form import TraceForm
from mentor.traces.listings import made_from_calls
from mentor.traces.trace import Trace
from mentor.types import NO_TOOLS, Task, TaskTools


@dataclass(frozen=True)
class ReadRow:
    """What became of a row. form: its name. place: `path:row`. refusal: a slug to count by and one line, or None.

    The line names the record, and the message with its role where there is one. made_tools: the row lists no tools, so
    that they were made from the calls of its file.
    """

    form: str
    place: str
    trace: Trace | None = None
    refusal: tuple[str, str] | None = None
    answer: tuple[str, ...] = ()
    made_tools: bool = False


def load_traces(
    rows: Iterable[Placed],
    path: str,
    split: str,
    form: str = "auto",
    columns: Mapping[str, str | None] | None = None,
    bad: BadRows | None = None,
    where: str = "task",
) -> list[Task]:
    """Read rows of traces, each a task whose `source["row"]` is its ReadRow.

    form: of `FORMS`, or auto. columns: those that `read_traces` reads. bad: has the rows that are no JSON. ids: from
    the row where it has one, with `#2` behind it for its second use; else the file's name and the row's number from 0.
    A row that repeats an earlier one is refused, too. Raises InputError for a file without any conversation.
    """
    chosen, read, ids = read_traces(rows, path, form, columns or {}, f"{where}.path")
    if bad is not None:
        bad.settle(len(read), path, where)
    return [_task(task_id, split, row) for task_id, row in zip(ids, read, strict=True)]


def read_traces(
    rows: Iterable[Placed], path: str, form: str, columns: Mapping[str, str | None], key: str
) -> tuple[TraceForm, list[ReadRow], list[str]]:
    """Return the form of rows, those in order, and their ids; as `load_traces`.

    columns: `messages`, `tools` and `system` are put where the forms look for them; `answer` and `id` are read.
    """
    moved = {name: columns[name] for name in ("messages", "tools", "system") if columns.get(name)}
    kept = [(place, _moved(without_nulls(row) if fills_nulls(place) else row, moved, place)) for place, row in rows]
    chosen = find_form(form, [row for _, row in kept], f"{key}={path}")
    answer, own_id = columns.get("answer") or "answer", columns.get("id") or "id"
    read = [_read(row, place, chosen, answer) for place, row in kept]
    return chosen, _without_repeats(_with_tools(read)), _ids([row for _, row in kept], own_id, Path(path))


def _moved(row: Row, columns: Mapping[str, str | None], place: str) -> Row:
    return row | {name: value_field(row, str(column), place) for name, column in columns.items()}


def _read(row: Row, place: str, form: TraceForm, answer_key: str) -> ReadRow:
    try:
        trace = form.read(row)
        json.dumps(trace.messages, ensure_ascii=False, allow_nan=False).encode()
        return ReadRow(form.name, place, trace, answer=_answer(row, answer_key))
    except InputError as error:
        return ReadRow(form.name, place, refusal=(getattr(error, "reason", "unreadable"), f"{place}: {error}"))
    except ValueError as error:  # half a surrogate pair, or a number that JSON has not
        return ReadRow(
            form.name, place, refusal=("content", f"{place}: a message holds what is no JSON: {error}"[:200])
        )


def _answer(row: Row, answer_key: str) -> tuple[str, ...]:
    """The accepted answers under a key with dots into objects; empty where the row has none."""
    value = optional_field(row, answer_key)
    blank = value is None or value == [] or isinstance(value, str) and not value.strip()
    return () if blank else answer_field({"answer": value}, "answer", "the answer")


def _with_tools(read: Sequence[ReadRow]) -> list[ReadRow]:
    """Give the rows that list no tools and call some the schemas that fit the calls of all such rows."""
    lacking = [row.trace for row in read if row.trace is not None and row.trace.tools is None and row.trace.calls]
    made = made_from_calls(call for trace in lacking for call in trace.calls) if lacking else []
    return [
        replace(row, trace=row.trace.with_tools(made), made_tools=True)
        if row.trace is not None and row.trace.tools is None and row.trace.calls
        else row
        for row in read
    ]


def _without_repeats(read: Sequence[ReadRow]) -> list[ReadRow]:
    """Refuse a trace whose tools, system and user texts and calls are those of an earlier one."""
    first: dict[str, str] = {}
    done = []
    for row in read:
        if row.trace is not None:
            before = first.setdefault(_sameness(row.trace), row.place)
            if before != row.place:
                refusal = ("repeated", f"{row.place}: the same user's words and the same calls as {before}")
                row = replace(row, refusal=refusal)
        done.append(row)
    return done


def _sameness(trace: Trace) -> str:
    asked = [(m["role"], " ".join(m["content"].split())) for m in trace.messages if m["role"] in ("system", "user")]
    calls = [(call["name"], call["arguments"]) for call in trace.calls]
    return json.dumps([asked, calls, trace.tools], sort_keys=True)


def _ids(rows: Sequence[Row], id_key: str, path: Path) -> list[str]:
    stem, used, ids = path.name.split(".")[0], Counter[str](), []
    for index, row in enumerate(rows):
        given = optional_field(row, id_key)
        named = isinstance(given, str | int) and not isinstance(given, bool) and given != ""
        name = str(given) if named else f"{stem}-{index:06d}"
        used[name] += 1
        ids.append(name if used[name] == 1 else f"{name}#{used[name]}")
    return ids


def _task(task_id: str, split: str, row: ReadRow) -> Task:
    if row.trace is None:
        return Task(task_id, "", (), "traces", split, source={"row": row})
    messages = row.trace.messages
    asked = max(place for place, message in enumerate(messages) if message["role"] == "user")
    return Task(
        task_id,
        messages[asked]["content"],
        row.answer,
        "traces",
        split,
        source={"row": row},
        tools=TaskTools(None, row.trace.tools) if row.trace.tools else NO_TOOLS,
        earlier=tuple(messages[:asked]),
    )
