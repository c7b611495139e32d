"""Read stored trajectories (JSON Lines, handed from stage to stage) and check each record."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from mentor.calls.schemas import check_schema
from mentor.errors import InputError
from mentor.jsonl import Record, Report, read_jsonl, warn
from mentor.types import Trajectory


def load_trajectories(path: Path, report: Report = warn) -> list[Trajectory]:
    """Read all trajectories of a file. Raises InputError naming the record that is not one."""
    trajectories = []
    checked: set[str] = set()  # tool listings, nearly always one for all
    for number, record in enumerate(read_jsonl(path, report), start=1):
        trajectories.append(stored_trajectory(record, f"{path}: record {number}", checked))
    return trajectories


def stored_trajectory(record: Record, where: str, checked: set[str]) -> Trajectory:
    """Build a trajectory from a record, with its messages and tool schemas checked. Raises InputError naming `where`.

    checked: tool listings of earlier records that passed; this record's is added.
    """
    try:
        trajectory = Trajectory.from_dict(record)
        _check_texts("task.answer", record["task"]["answer"])
        if not isinstance(trajectory.messages, list) or not trajectory.messages:
            raise ValueError("messages is not a list of messages")
        for message in trajectory.messages:
            _check_texts("role and content of a message", [message["role"], message["content"]])
        if trajectory.tools not in checked:
            schemas = json.loads(trajectory.tools)
            if not isinstance(schemas, list):
                raise ValueError("tools is not the JSON text of a list of tool schemas")
            for schema in schemas:
                check_schema(schema, where)
            checked.add(trajectory.tools)
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        reason = f"no key {error}" if isinstance(error, KeyError) else str(error)
        raise InputError(f"{where} is not a trajectory ({reason})") from None
    return trajectory


def _check_texts(name: str, values: Any) -> None:
    if not isinstance(values, list) or not all(isinstance(value, str) for value in values):
        raise TypeError(f"{name} is {values!r:.80}, accepted: text")
