"""Rows to tasks: what a kind of row holds where, `task.columns` before that, and what becomes of a bad row.

rows with places -> `read_tasks` -> tasks; each kind is a `RowKind`. A row that is no task raises InputError naming its
place. All of them are counted and named in one message, or left out (`task.bad_rows=skip`).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from typing import Any

from mentor.errors import InputError
from mentor.rows import Row, answer_field, text_field, value_field
from mentor.rows.row_fields import id_field, optional_field
from mentor.rows.row_files import Placed
from mentor.tasks.prompts import Message, read_prompt
from mentor.tasks.row_calls import checked_gold, read_calls, said_calls
from mentor.traces.listings import listed_tools
from mentor.traces.trace import TraceError
from mentor.types import NO_TOOLS, Task, TaskTools, ToolCall

SHOWN = 10  # of the bad rows of a file that its refusal names


class RowKind:
    """What one kind of row holds, and where. The methods say where a kind looks; `columns` go before that.

    columns: `task.columns`, with None for those that are not given; an empty path reads nothing.
    """

    toolset = ""

    def __init__(self, columns: Mapping[str, str | None]) -> None:
        self.named = {name: path for name, path in columns.items() if path is not None}

    def opened(self, row: Row, place: str) -> Row | None:
        """Return the row as the other methods read it, None where it is meant to be left out."""
        return row

    def prompt(self, row: Row, place: str) -> tuple[tuple[Message, ...], str]:
        """Return the messages before the question, and the question."""
        return (), text_field(row, "question", place)

    def answer(self, row: Row, place: str) -> tuple[str, ...]:
        return answer_field(row, "answer", place)

    def accepted(self, answer: str, place: str) -> str:
        """Return an accepted answer without what rows of this kind write around it."""
        return answer

    def identifier(self, row: Row, place: str) -> str | None:
        return id_field(row, "id", place)

    def reference(self, row: Row, place: str) -> tuple[ToolCall, ...] | None:
        return None

    def calls(self, row: Row, place: str) -> tuple[ToolCall, ...] | None:
        """Return the calls that are right in place of an answer; None where the answer decides."""
        return None

    def tools(self, row: Row, place: str) -> TaskTools | None:
        """Return the row's own tools: the schemas that it lists under `tools` or `functions`."""
        return own_tools(row, place)

    def system(self, row: Row, place: str) -> str | None:
        """Return a system message beside the prompt."""
        return None

    def source(self, row: Row, place: str) -> dict[str, Any]:
        return {}

    def task(self, row: Row, place: str, numbered: str, split: str) -> Task | None:
        """Build the task of a row; None where the row is meant to be left out. Raises InputError naming `place`."""
        opened = self.opened(row, place)
        if opened is None:
            return None
        earlier, question = self._prompt(opened, place)
        task_id = self._read("id", opened, place, id_field, self.identifier)
        tools = self._read("tools", opened, place, _tools, self.tools)
        right = self._read("calls", opened, place, _right_calls, self.calls)
        task = Task(
            id=numbered if task_id is None else task_id,
            question=question,
            answer=(),
            toolset=self.toolset,
            split=split,
            tools=tools,
            earlier=earlier,
        )
        if right is not None:
            return replace(task, tools=tools or NO_TOOLS, reference=right, gold=checked_gold(right, tools, place))
        answers = self._read("answer", opened, place, answer_field, self.answer) or ()
        return replace(
            task,
            answer=tuple(dict.fromkeys(self.accepted(answer, place) for answer in answers)),
            reference=self._read("reference", opened, place, _reference, self.reference),
            source=self.source(opened, place),
        )

    def _prompt(self, row: Row, place: str) -> tuple[tuple[Message, ...], str]:
        earlier, question = self._read("question", row, place, _prompt, self.prompt)
        system = self._read("system", row, place, optional_text, self.system)
        if system is None:
            return earlier, question
        if earlier and earlier[0]["role"] == "system":
            raise InputError(f"{place}: two system messages, in {self.named.get('system', 'system')} and in the prompt")
        return ({"role": "system", "content": system}, *earlier), question

    def _read(
        self, name: str, row: Row, place: str, by_path: Callable[[Row, str, str], Any], own: Callable[[Row, str], Any]
    ) -> Any:
        path = self.named.get(name)
        if path is None:
            return own(row, place)
        return by_path(row, path, place) if path else None


def own_tools(row: Row, place: str) -> TaskTools | None:
    """Return the tools that a row lists, None where it lists none; their calls need code of the run's tools.

    Raises InputError for what is no list of schemas.
    """
    try:
        schemas = listed_tools(row)
    except TraceError as error:
        raise InputError(f"{place}: {error}") from None
    return TaskTools(None, schemas) if schemas else None


def optional_text(row: Row, key: str, place: str) -> str | None:
    """Return a text, None where the row has none or a blank one."""
    value = optional_field(row, key)
    if value is None or isinstance(value, str) and not value.strip():
        return None
    return text_field(row, key, place)


def _prompt(row: Row, key: str, place: str) -> tuple[tuple[Message, ...], str]:
    return read_prompt(value_field(row, key, place), place, key)


def _reference(row: Row, key: str, place: str) -> tuple[ToolCall, ...] | None:
    return read_calls(optional_field(row, key), f"{place}: {key}")


def _right_calls(row: Row, key: str, place: str) -> tuple[ToolCall, ...]:
    return said_calls(value_field(row, key, place), f"{place}: {key}")


def _tools(row: Row, key: str, place: str) -> TaskTools | None:
    return own_tools({"tools": optional_field(row, key)}, f"{place}: {key}")


# --- all rows --------------------------------------------------------------------------------------------------------


class BadRows:
    """Gathers the rows that are no tasks, as lines. skipped: where they go; None refuses them."""

    def __init__(self, skipped: list[str] | None = None) -> None:
        self.lines: list[str] = []
        self._skipped = skipped

    def add(self, error: InputError) -> None:
        self.lines.append(str(error))

    def settle(self, good: int, path: str, where: str) -> None:
        """Hand the lines on where bad rows are skipped; else raise InputError for them.

        good: the rows that can be used. where: the config key of the task. Raises InputError, too, without any.
        """
        if self.lines and (self._skipped is None or not good):
            shown = "; ".join(self.lines[:SHOWN])
            more = f"; and {len(self.lines) - SHOWN} more" if len(self.lines) > SHOWN else ""
            rows = len(self.lines) + good
            way_out = f"; {where}.bad_rows=skip leaves them out" if good else ""
            raise InputError(f"{shown}{more} ({len(self.lines)} of {rows} rows cannot be used{way_out})")
        if self._skipped is not None:
            self._skipped += self.lines
        if not good:
            raise InputError(f"{path}: no row is answerable")


def read_tasks(
    rows: Iterable[Placed], kind: RowKind, stem: str, split: str, bad: BadRows, path: str, where: str
) -> list[Task]:
    """Read the tasks of rows in order, each with another id; one without has `<stem>-<its number from 0>`.

    Raises InputError for bad rows unless they are skipped, and where no row is a task.
    """
    tasks: list[Task] = []
    first_place: dict[str, str] = {}
    for index, (place, row) in enumerate(rows):
        try:
            task = kind.task(row, place, f"{stem}-{index:06d}", split)
            if task is not None and task.id in first_place:
                raise InputError(f"{place}: id {task.id!r} was given before at {first_place[task.id]}")
        except InputError as error:
            bad.add(error)
            continue
        if task is not None:
            first_place[task.id] = place
            tasks.append(task)
    bad.settle(len(tasks), path, where)
    return tasks
