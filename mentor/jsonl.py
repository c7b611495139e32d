"""JSON Lines files: append, read back, and roll back to a step, also after the writer was killed.

A process can die in the middle of a line. So a half-written last line is dropped and reported, both when reading and
when a writer appends; any other unreadable line is an error that names its line.
"""

from __future__ import annotations

import json
import logging
import os
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

from mentor.closing import Closing
from mentor.errors import InputError, StorageError
from mentor.files import write_file

Record = dict[str, Any]
Report = Callable[[str], None]
warn = logging.getLogger(__name__).warning


def to_line(record: Mapping[str, Any]) -> str:
    return json.dumps(record, ensure_ascii=False, separators=(",", ":")) + "\n"


class JsonlWriter(Closing):
    """Appends records to a file, each flushed as a whole line.

    report: called with a message where a half-written line is dropped.
    """

    def __init__(self, path: Path, report: Report = warn) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        drop_torn_line(path, report)
        self.path = path
        self._file = path.open("a", encoding="utf-8")

    def write(self, record: Mapping[str, Any]) -> None:
        """Append a record. Raises StorageError when the file was deleted or moved: the record would be lost."""
        if not self._in_place():
            raise StorageError(f"{self.path} was deleted or moved while it was being written")
        self._file.write(to_line(record))
        self._file.flush()

    def _in_place(self) -> bool:
        try:
            return os.path.samestat(os.fstat(self._file.fileno()), self.path.stat())
        except FileNotFoundError:
            return False

    def close(self) -> None:
        self._file.close()


def drop_torn_line(path: Path, report: Report = warn) -> None:
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


def read_jsonl(path: Path, report: Report = warn) -> Iterator[Record]:
    """Yield every record in order. Raises InputError: no such file, or `path:line` of an unreadable line."""
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


def roll_back(path: Path, step: int, report: Report = warn) -> int:
    """Move the records whose `step` is greater into `<stem>.rolled_back.jsonl`; return how many.

    Crash-safe: the moved records are on disk before the file is replaced in one step, and a crash in between does not
    move them twice.
    """
    if not path.exists():
        return 0
    kept: list[str] = []
    moved: list[str] = []
    for record in read_jsonl(path, report):
        (moved if record.get("step", 0) > step else kept).append(to_line(record))
    if moved:
        _append_durably(path.with_name(f"{path.stem}.rolled_back.jsonl"), moved)
    write_file(path, kept)
    return len(moved)


def _append_durably(path: Path, lines: list[str]) -> None:
    """Append `lines`, unless the file ends with them or with their first ones: those a crash cut short."""
    drop_torn_line(path)
    stored = path.read_text(encoding="utf-8") if path.exists() else ""
    there = next((n for n in range(len(lines), 0, -1) if stored.endswith("".join(lines[:n]))), 0)
    lines = lines[there:]
    with path.open("a", encoding="utf-8") as file:
        file.writelines(lines)
        file.flush()
        os.fsync(file.fileno())
