"""Store trajectories (JSON Lines, handed from stage to stage), and read and check them.

The tool schemas of a record stand in `tool_sets.jsonl` beside its file; records of earlier versions hold them.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from mentor.calls.schemas import check_schema
from mentor.chat.conversation import ConversationError, ordered
from mentor.errors import InputError
from mentor.jsonl import JsonlWriter, Record, Report, read_jsonl, warn
from mentor.trajectories.tool_sets import ToolSets, ToolSetWriter, is_reference
from mentor.types import CallError, Task, Trajectory


class TrajectoryWriter(JsonlWriter):
    """Appends records that hold `Trajectory.to_dict`, among other keys; each listing of tool schemas is stored once."""

    def __init__(self, path: Path, report: Report = warn) -> None:
        super().__init__(path, report)
        self._tool_sets = ToolSetWriter(path.parent, report)

    def write(self, record: Mapping[str, Any]) -> None:
        super().write(self._tool_sets.with_reference(record))


def load_trajectories(path: Path, report: Report = warn, schemas: bool = True) -> list[Trajectory]:
    """Read all trajectories of a file. schemas: see `stored_trajectory`.

    Raises InputError naming the record that is not a trajectory, or whose tool schemas are not found.
    """
    tool_sets = ToolSets(path.parent)
    return [
        stored_trajectory(record, f"{path}: record {number}", tool_sets, schemas)
        for number, record in enumerate(read_jsonl(path, report), start=1)
    ]


def stored_trajectory(record: Record, where: str, tool_sets: ToolSets, schemas: bool = True) -> Trajectory:
    """Build a trajectory from a record, with its messages and tool schemas checked. Raises InputError naming `where`.

    tool_sets: of the folder that the record is stored in. schemas: look them up there; else `tools` of the trajectory
    stays as stored, for readers that do not need it and accept a file that was moved alone.
    """
    try:
        trajectory = Trajectory.from_dict(record)
        _check_texts("task.answer", record["task"]["answer"])
        if not isinstance(trajectory.messages, list) or not trajectory.messages:
            raise ValueError("messages is not a list of messages")
        for message in trajectory.messages:
            _check_texts("role and content of a message", [message["role"], message["content"]])
        if trajectory.tokens is None and not any(call.error is CallError.MALFORMED for call in trajectory.calls):
            trajectory.messages = ordered(trajectory.messages)  # a malformed call has a result and stands in no message
        trajectory.task = with_own_results(trajectory)
        if is_reference(trajectory.tools):
            if not schemas:
                return trajectory
            trajectory.tools = tool_sets.listing(trajectory.tools, where)
        if trajectory.tools not in tool_sets.checked:
            listed = json.loads(trajectory.tools)
            if not isinstance(listed, list):
                raise ValueError("tools is not the JSON text of a list of tool schemas")
            for schema in listed:
                check_schema(schema, where)
            tool_sets.checked.add(trajectory.tools)
    except ConversationError as error:
        raise InputError(f"{where}: {error}") from None
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        reason = f"no key {error}" if isinstance(error, KeyError) else str(error)
        raise InputError(f"{where} is not a trajectory ({reason})") from None
    return trajectory


def with_own_results(trajectory: Trajectory) -> Task:
    """Return the task, its reference with results where it is this trajectory's own calls, stored before with none.

    That is so of a teacher's trajectory, which has no tokens.
    """
    task = trajectory.task
    if trajectory.tokens is not None or not task.reference or any(call.result is not None for call in task.reference):
        return task
    own = trajectory.executed_calls()
    bare = [replace(call, result=None) for call in own]
    return replace(task, reference=tuple(own)) if bare == list(task.reference) else task


def _check_texts(name: str, values: Any) -> None:
    if not isinstance(values, list) or not all(isinstance(value, str) for value in values):
        raise TypeError(f"{name} is {values!r:.80}, accepted: text")
