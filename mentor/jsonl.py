"""JSON Lines files: append, read back, and roll back to a step, also after the writer was killed.

A process can die in the middle of a line. So a half-written last line is dropped and reported, both when reading and
when a writer appends; any other unreadable line is an error that names its line.
"""

from __future__ import annotations

import json
import logging
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import islice
from pathlib import Path
from typing import Any, BinaryIO

from mentor.closing import Closing
from mentor.errors import InputError, StorageError
from mentor.files import write_file

Record = dict[str, Any]
Report = Callable[[str], None]
BLOCK = 1 << 16  # bytes that are read at once from the end of a file
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
    """Cut a last line without a line end off the file, or end it where it is a whole record. Reads only that line."""
    if not path.exists():
        return
    with path.open("rb") as file:
        kept = _last_line_start(file)
        file.seek(kept)
        line = file.read()
    if not line:
        return
    with path.open("r+b") as file:
        if _record(line) is not None:
            file.seek(0, os.SEEK_END)
            file.write(b"\n")
        else:
            file.truncate(kept)
            report(f"{path}: dropped a half-written last line ({len(line)} bytes)")


def _last_line_start(file: BinaryIO) -> int:
    """Return the position behind the last line end, 0 without one; reads blocks from the end of the file backwards."""
    start = file.seek(0, os.SEEK_END)
    while start > 0:
        end, start = start, max(0, start - BLOCK)
        file.seek(start)
        if (found := file.read(end - start).rfind(b"\n")) >= 0:
            return start + found + 1
    return 0


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
    move them twice. Holds one record at a time, and a hash of each that is moved.
    """
    if not path.exists():
        return 0

    def lines(moved: bool, report: Report = lambda _: None) -> Iterator[str]:
        return (to_line(record) for record in read_jsonl(path, report) if (record.get("step", 0) > step) == moved)

    hashes, size = [], 0
    for line in lines(True, report):
        hashes.append(hash(line.encode()))
        size += len(line.encode())
    if not hashes:
        drop_torn_line(path, lambda _: None)  # reported above
        return 0
    aside = path.with_name(f"{path.stem}.rolled_back.jsonl")
    drop_torn_line(aside)
    with aside.open("a+b") as file:
        file.seek(max(0, file.seek(0, os.SEEK_END) - size))
        there = _overlap([hash(line) for line in file], hashes)  # those that a crash left there
        file.writelines(line.encode() for line in islice(lines(True), there, None))
        file.flush()
        os.fsync(file.fileno())
    write_file(path, lines(False))
    return len(hashes)


def _overlap(stored: Sequence[int], moved: Sequence[int]) -> int:
    """Return the largest n for which `stored` ends with the first n of `moved`."""
    for n in range(min(len(stored), len(moved)), 0, -1):
        if stored[-n] == moved[0] and stored[-n:] == moved[:n]:
            return n
    return 0
