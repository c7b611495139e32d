"""The tool schemas of stored trajectories, each listing once: `tool_sets.jsonl` beside the files that refer to it.

A line is `{"hash": "sha256:<12 hex digits>", "tools": "<the schemas as JSON text>"}`. Files of one folder share it, as
may processes. It only grows: a line is on disk before the first trajectory that refers to it.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from mentor.errors import InputError
from mentor.jsonl import Record, Report, drop_torn_line, read_jsonl, to_line, warn
from mentor.rows import describe

TOOL_SETS = "tool_sets.jsonl"
_REFERENCE = re.compile(r"sha256:[0-9a-f]{12}")


def reference_to(tools: str) -> str:
    """Return what stands for a listing in a record: its hash, or the listing itself where that is not longer."""
    reference = f"sha256:{hashlib.sha256(tools.encode()).hexdigest()[:12]}"
    return tools if len(tools) <= len(reference) else reference


def is_reference(tools: object) -> bool:
    """Whether a record's `tools` refers to a listing instead of holding it."""
    return isinstance(tools, str) and _REFERENCE.fullmatch(tools) is not None


class ToolSets:
    """The listings of one folder. The file is read when a reference is first looked up.

    checked: listings whose schemas have passed `check_schema`; the reader of the trajectories adds them.
    """

    def __init__(self, folder: Path) -> None:
        self.path = folder / TOOL_SETS
        self.checked: set[str] = set()
        self._listings: dict[str, str] = {}

    def listing(self, reference: str, where: str) -> str:
        """Return the schemas as JSON text. Raises InputError naming the record `where` and the file that lacks them."""
        if reference not in self._listings:
            self._listings = _stored(self.path)
        if reference not in self._listings:
            lacks = "has no such line" if self.path.is_file() else "is missing"
            raise InputError(
                f"{where} refers to the tool schemas {reference}, and {self.path} {lacks}; "
                f"accepted: the {TOOL_SETS} of the folder that the trajectory was stored in, copied beside its file"
            )
        return self._listings[reference]


class ToolSetWriter:
    """Stores the listings that a folder's file lacks. report: see `JsonlWriter`."""

    def __init__(self, folder: Path, report: Report = warn) -> None:
        self.path = folder / TOOL_SETS
        self._report = report
        self._stored = set(_stored(self.path))

    def with_reference(self, record: Mapping[str, Any]) -> Record:
        """Return a trajectory's record with a reference in place of its tool schemas, which are then on disk."""
        reference = reference_to(record["tools"])
        if is_reference(reference) and reference not in self._stored:
            self._append({"hash": reference, "tools": record["tools"]})
            self._stored.add(reference)
        return {**record, "tools": reference}

    def _append(self, line: Record) -> None:
        """Append a line, flushed to disk. Other processes may do so at the same time: the file is locked meanwhile."""
        with self.path.open("ab") as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            drop_torn_line(self.path, self._report)
            file.write(to_line(line).encode())
            file.flush()
            os.fsync(file.fileno())


def _stored(path: Path) -> dict[str, str]:
    """Read the listings by hash, none without a file. Raises InputError naming a record that is none."""
    listings: dict[str, str] = {}
    for number, record in enumerate(read_jsonl(path, lambda _: None) if path.is_file() else (), start=1):
        if not isinstance(record.get("hash"), str) or not isinstance(record.get("tools"), str):
            raise InputError(f"{path}: record {number} is {describe(record)}, accepted: texts under `hash` and `tools`")
        listings[record["hash"]] = record["tools"]
    return listings
