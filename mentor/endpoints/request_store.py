"""The answers of an endpoint, each stored before it is used, so that a killed stage asks nothing twice.

`answers.jsonl` holds one record for each request, keyed by the hash of all that decides the answer. `faults.jsonl`
holds the kind of every failed attempt. Both are append-only.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
import os
from collections import Counter
from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from mentor.jsonl import JsonlWriter, Record, Report, drop_torn_line, read_jsonl, to_line, warn

Ask = Callable[[], Awaitable[Record]]
Count = Callable[[Record], None]


def request_key(body: Mapping[str, Any], sample: int) -> str:
    """Hash a request's body (model, messages, tools, sampling, seed) and the number of its try at the task: SHA-256."""
    text = json.dumps([body, sample], sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()


class RequestStore:
    """Answers by key, in one append-only file; used by one process, through `with`.

    count: called with every stored answer, old and new, in the order of the file. redact: applied to every line before
    it is written. In memory are only the places of the answers in the file.
    """

    def __init__(
        self, folder: Path, count: Count, redact: Callable[[str], str] = lambda text: text, report: Report = warn
    ) -> None:
        self._count, self._redact, self._report = count, redact, report
        self._path, self._faults_path = folder / "answers.jsonl", folder / "faults.jsonl"
        self._places: dict[str, int] = {}  # first byte of each key's line
        self._flying: dict[str, asyncio.Future[Record]] = {}
        self.faults: Counter[str] = Counter()  # failed attempts by kind, those of earlier processes included
        self.replayed = 0  # answers that this process took from the file

    def __len__(self) -> int:
        return len(self._places)

    def __enter__(self) -> Self:
        self._path.parent.mkdir(parents=True, exist_ok=True)
        drop_torn_line(self._path, self._report)
        self._file = self._path.open("a+b")
        self._file.seek(0)
        place = 0
        for line in self._file:
            record = json.loads(line)
            self._places[record["key"]] = place
            self._count(record)
            place += len(line)
        if self._faults_path.exists():
            self.faults.update(record["kind"] for record in read_jsonl(self._faults_path, self._report))
        self._faults = JsonlWriter(self._faults_path, self._report)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._file.close()
        self._faults.close()

    async def answer(self, key: str, ask: Ask) -> Record:
        """Return the stored answer of a request, or that of `ask`, stored on disk before it is returned.

        The same request in flight is asked once; what `ask` raises is raised to every caller, and nothing is stored.
        """
        if key in self._places:
            self.replayed += 1
            return self._read(key)
        if key in self._flying:
            self.replayed += 1
            return await asyncio.shield(self._flying[key])
        future = self._flying[key] = asyncio.get_running_loop().create_future()
        try:
            record = self._append({"key": key, **await ask()})
            future.set_result(record)
        except BaseException as error:
            if isinstance(error, asyncio.CancelledError):
                future.cancel()
            else:
                future.set_exception(error)
                future.exception()  # it is raised here too, so that nobody else has to look at it
            raise
        finally:
            del self._flying[key]
        return record

    def note_fault(self, key: str, kind: str, detail: str) -> None:
        """Store and count one failed attempt."""
        self._faults.write(json.loads(self._redact(to_line({"key": key, "kind": kind, "detail": detail}))))
        self.faults[kind] += 1

    def _read(self, key: str) -> Record:
        self._file.seek(self._places[key])
        record: Record = json.loads(self._file.readline())
        return record

    def _append(self, record: Record) -> Record:
        """Append a record, flushed to disk, and return it as stored (redacted)."""
        text = self._redact(to_line(record))
        line, record = text.encode("utf-8", "surrogatepass"), json.loads(text)
        place = self._file.seek(0, os.SEEK_END)
        self._file.write(line)
        self._file.flush()
        os.fsync(self._file.fileno())
        self._places[record["key"]] = place
        self._count(record)
        return record
