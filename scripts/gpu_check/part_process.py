"""One part in a process of its own: it may crash, hang or leave a GPU in any state, and the next part still runs."""

from __future__ import annotations

import json
import multiprocessing
import os
import signal
import time
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from scripts.gpu_check.measuring import Figure, Note, Remark
from scripts.gpu_check.parts import Part


@dataclass
class PartResult:
    """status: ok, off limits (a figure is outside of its own), failed, or not run. reason: of the last two."""

    part: str
    status: str
    seconds: float = 0.0
    reason: str = ""
    figures: list[Figure] = field(default_factory=list)
    remarks: list[str] = field(default_factory=list)

    @property
    def good(self) -> bool:
        return self.status in ("ok", "not run")


def run_part(part: Part, folder: Path, seconds: float) -> PartResult:
    """Run a part for `seconds` at most; what it found until it ended is kept, and what it printed is in `folder`."""
    found = folder / "found.jsonl"
    found.unlink(missing_ok=True)
    process = multiprocessing.get_context("spawn").Process(target=_child, args=(part, folder, found))
    began = time.perf_counter()
    process.start()
    process.join(seconds)
    reason = ""
    if process.exitcode is None:
        reason = f"ended after {seconds:.0f} s"
    elif process.exitcode < 0:
        reason = f"its process was ended by {signal.Signals(-process.exitcode).name}"
    assert process.pid is not None
    _end_group(process.pid)
    process.kill()
    process.join()
    outcome = PartResult(part.name, "ok", round(time.perf_counter() - began, 1), reason)
    for line in found.read_text().splitlines() if found.is_file() else []:
        _read(json.loads(line), outcome)
    if outcome.reason:
        outcome.status = "failed"
    elif not all(figure.ok for figure in outcome.figures):
        outcome.status = "off limits"
    return outcome


def _read(entry: dict[str, Any], outcome: PartResult) -> None:
    if "error" in entry:
        outcome.reason = entry["error"]
    elif "text" in entry:
        outcome.remarks.append(entry["text"])
    else:
        outcome.figures.append(Figure(**entry))


def _child(part: Part, folder: Path, found: Path) -> None:
    os.setpgid(0, 0)  # with the processes that it starts, so that all of them end with it
    log = os.open(folder / "log.txt", os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    os.dup2(log, 1)
    os.dup2(log, 2)
    with found.open("a") as file:

        def note(value: Figure | Remark) -> None:
            file.write(json.dumps(asdict(value)) + "\n")
            file.flush()

        _run(part, note, file)


def _run(part: Part, note: Note, file: Any) -> None:
    """Run the part; an exception is its outcome, and its traceback goes to the log."""
    try:
        part.check(part.size, note)
    except Exception as error:
        said = f"{type(error).__name__}: {' '.join(str(error).split())[:500]}"
        file.write(json.dumps({"error": said}) + "\n")
        file.flush()
        raise


def _end_group(group: int) -> None:
    """End what is left of a part: a process that hangs, and those that it started."""
    with suppress(ProcessLookupError):  # nothing is left
        os.killpg(group, signal.SIGKILL)
