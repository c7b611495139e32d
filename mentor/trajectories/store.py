"""The JSONL store that stages hand trajectories over in: append, read back, and roll back to a step.

A process can die in the middle of a line. So a half-written last line is dropped and reported, both when reading and
when a writer goes on; any other unreadable line is an error that names its line.
"""

from __future__ import annotations

import json
import logging
import os
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from mentor.errors import InputError
from mentor.tools.validation import check_schema
from mentor.types import Trajectory

Record = dict[str, Any]
Report = Callable[[str], None]
_warn = logging.getLogger(__name__).warning


def to_line(record: Mapping[str, Any]) -> str:
    return json.dumps(record, ensure_ascii=False, separators=(",", ":")) + "\n"


class JsonlWriter:
    """Appends records to a file, each flushed as a whole line. `report` is told about a half-written line it drops."""

    def __init__(self, path: Path, report: Report = _warn) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        drop_torn_line(path, report)
        self._file = path.open("a", encoding="utf-8")

    def write(self, record: Mapping[str, Any]) -> None:
        self._file.write(to_line(record))
        self._file.flush()

    def close(self) -> None:
        self._file.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def drop_torn_line(path: Path, report: Report = _warn) -> None:
    """Cut a last line without a line end off the file, or end it where it is a whole record."""
    if not path.exists():
        return
    data = path.read_bytes()
    kept = data.rfind(b"\n") + 1
    if kept == len(data):
        return
    with path.open("r+b") as file:
        if _record(data[kept:]) is not None:
            file.seek(0, os.SEEK_END)
            file.write(b"\n")
        else:
            file.truncate(kept)
            report(f"{path}: dropped a half-written last line ({len(data) - kept} bytes)")


def _record(line: bytes) -> Record | None:
    """The JSON object a line holds, None when it holds none."""
    try:
        record = json.loads(line)
    except ValueError:  # both undecodable bytes and bad JSON
        return None
    return record if isinstance(record, dict) else None


def read_jsonl(path: Path, report: Report = _warn) -> Iterator[Record]:
    """Every record in order. Raises InputError for a missing file or naming `path:line` for an unreadable line."""
    if not path.is_file():
        raise InputError(f"{path}: no such file")
    with path.open("rb") as file:
        for number, line in enumerate(file, start=1):
            if not line.strip():
                continue
            record = _record(line)
            if record is None:
                if not line.endswith(b"\n"):
                    report(f"{path}:{number}: dropped a half-written last line ({len(line)} bytes)")
                    return
                raise InputError(f"{path}:{number}: not a JSON object: {line[:60].decode(errors='replace').strip()!r}")
            yield record


def load_trajectories(path: Path, report: Report = _warn) -> list[Trajectory]:
    """All stored trajectories; InputError names the record that is not one."""
    trajectories = []
    checked: set[str] = set()  # tool listings, nearly always one for all
    for number, record in enumerate(read_jsonl(path, report), start=1):
        trajectories.append(stored_trajectory(record, f"{path}: record {number}", checked))
    return trajectories


def stored_trajectory(record: Record, where: str, checked: set[str]) -> Trajectory:
    """A record as a trajectory, its messages and tool schemas looked at; InputError begins with `where` otherwise.

    checked: the tool listings that earlier records were found to have right; this one's is added.
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


def roll_back(path: Path, step: int, report: Report = _warn) -> int:
    """Move the records whose `step` is greater into `<stem>.rolled_back.jsonl`; how many were moved.

    Crash-safe: the moved records are on disk before the file is replaced in one step, so a crash in between leaves them
    in both files and never in neither.
    """
    if not path.exists():
        return 0
    kept: list[str] = []
    moved: list[str] = []
    for record in read_jsonl(path, report):
        (moved if record.get("step", 0) > step else kept).append(to_line(record))
    if moved:
        _append_durably(path.with_name(f"{path.stem}.rolled_back.jsonl"), moved)
    _replace(path, kept)
    return len(moved)


def _append_durably(path: Path, lines: list[str]) -> None:
    drop_torn_line(path)
    with path.open("a", encoding="utf-8") as file:
        file.writelines(lines)
        file.flush()
        os.fsync(file.fileno())


def _replace(path: Path, lines: list[str]) -> None:
    temporary = path.with_name(path.name + ".tmp")
    with temporary.open("w", encoding="utf-8") as file:
        file.writelines(lines)
        file.flush()
        os.fsync(file.fileno())
    os.replace(temporary, path)
