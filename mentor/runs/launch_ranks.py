"""Start the ranks of one stage, watch them, and end them together.

A single process is only waited for. When one of several ranks fails, dies or stalls, all are ended: the others would
wait for it for ever.
"""

from __future__ import annotations

import signal
import tempfile
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from types import FrameType

from mentor.progress import RENDEZVOUS
from mentor.runs.start import Process, start_process
from mentor.runs.status import VARIABLE, Status, read_status

POLL_S = 0.1
GRACE_S = 4.0  # for other ranks to report their errors, once one has failed
TERMINATE_S = 6.0  # between SIGTERM and SIGKILL
PATIENT = 10  # times the limit, in phases that report no progress (loading, starting an engine, writing)
PATIENT_PHASES = ("start", "save")


@dataclass(frozen=True)
class Ending:
    """code: 0, or that of the rank that failed first, negative for a signal. cause: why all ranks were ended, None if
    each reported its own error. report: text of that rank for stderr. received: a signal that this process got and
    passed on."""

    code: int
    cause: str | None = None
    report: str = ""
    received: int | None = None


def run_ranks(
    module: str,
    arguments: Sequence[str],
    environment: Mapping[str, str],
    pass_fds: Sequence[int],
    *,
    count: int,
    distributed: bool,
    stall_timeout_s: float,
    wait: bool = True,
) -> Ending:
    """Run `python -m module arguments` in `count` processes until all have ended.

    wait: for a fork server to start, see `start_process`.

    distributed: they form a group of torch.distributed and get its variables. Each is the leader of an operating
    system's process group, so that Ctrl-C reaches it once, through this process.
    """
    with tempfile.TemporaryDirectory(prefix="mentor-ranks-") as scratch, passing_on_signals() as (register, received):
        folder = Path(scratch)
        for rank in range(count):
            own = {**environment, **(_identity(rank, count, folder) if distributed else {})}
            register.append(start_process(module, arguments, own, pass_fds, wait))
            if received:  # while it was started
                register[-1].send_signal(received[0])
        try:
            ending = Ending(register[0].wait()) if count == 1 else _watch(register, folder, stall_timeout_s, received)
        except (
            BaseException
        ):  # raised by a signal handler that ends this process (submitit's, before a job is queued again)
            end(register)
            raise
    return replace(ending, received=received[0]) if received else ending


def _identity(rank: int, count: int, folder: Path) -> dict[str, str]:
    """Return torch.distributed's variables of a rank; a file replaces the address and port."""
    alone = {} if count == 1 else {VARIABLE: str(_status_file(folder, rank))}
    return {
        "RANK": str(rank),
        "LOCAL_RANK": str(rank),
        "WORLD_SIZE": str(count),
        "LOCAL_WORLD_SIZE": str(count),
        RENDEZVOUS: str(folder),
        **alone,
    }


def _status_file(folder: Path, rank: int) -> Path:
    return folder / f"rank-{rank}.json"


def _watch(children: Sequence[Process], folder: Path, stall_timeout_s: float, received: Sequence[int]) -> Ending:
    """Wait for all ranks; end all when one stalls, or when one fails (after GRACE_S for the others to report)."""
    seen = [(-1, time.monotonic())] * len(children)  # beats, and the time of the last one
    while any(child.poll() is None for child in children):
        time.sleep(POLL_S)
        statuses = [read_status(_status_file(folder, rank)) for rank in range(len(children))]
        if received:
            _wait(children, TERMINATE_S)
            end(children)
            return Ending(1, report=read_status(_status_file(folder, 0)).report)
        if any(child.poll() not in (None, 0) for child in children):
            return _after_failure(children, folder)
        now = time.monotonic()
        for rank, (child, status) in enumerate(zip(children, statuses, strict=True)):
            if status.beats != seen[rank][0]:
                seen[rank] = (status.beats, now)
            limit = stall_timeout_s * (PATIENT if status.phase in PATIENT_PHASES else 1)
            if child.poll() is None and now - seen[rank][1] > limit:
                end(children)
                cause = f"{_name(rank, children)} made no progress for {limit:.0f} s in phase {status.phase}"
                return Ending(1, cause, _stack(status))
    return Ending(next((child.returncode for child in children if child.returncode), 0))


def _after_failure(children: Sequence[Process], folder: Path) -> Ending:
    """Find the rank that caused the failure: one ended by a signal, else the one that failed first."""
    _wait(children, GRACE_S)
    codes = {rank: child.poll() for rank, child in enumerate(children)}
    end(children)
    failed = {rank: code for rank, code in codes.items() if code}
    statuses = {rank: read_status(_status_file(folder, rank)) for rank in failed}
    rank = min(failed, key=lambda r: (failed[r] > 0, statuses[r].failed_at or float("inf"), r))
    status, code = statuses[rank], failed[rank]
    if code < 0:
        cause = f"{_name(rank, children)} was ended by {signal.Signals(-code).name} in phase {status.phase}"
        return Ending(1, cause, _stack(status))
    if len(failed) == len(children) and set(failed.values()) == {code}:
        return Ending(code, report=status.report)  # all failed alike: one report is enough
    return Ending(code, f"{_name(rank, children)} failed in phase {status.phase}", status.report)


def _name(rank: int, children: Sequence[object]) -> str:
    return f"rank {rank} of {len(children)}"


def _stack(status: Status) -> str:
    return f"where it was:\n{status.stack}" if status.stack else ""


def _wait(children: Sequence[Process], seconds: float) -> None:
    """Wait until all have ended, at most `seconds`."""
    deadline = time.monotonic() + seconds
    while any(child.poll() is None for child in children) and time.monotonic() < deadline:
        time.sleep(POLL_S)


def end(children: Sequence[Process]) -> None:
    """Send SIGTERM to those that still run, then SIGKILL: a rank that is stopped or blocked handles no SIGTERM."""
    for signum in (signal.SIGTERM, signal.SIGKILL):
        for child in children:
            if child.poll() is None:
                child.send_signal(signum)
        _wait(children, TERMINATE_S)


@contextmanager
def passing_on_signals() -> Iterator[tuple[list[Process], list[int]]]:
    """Pass SIGINT and SIGTERM on to registered children and list them. Does nothing outside the main thread."""
    children: list[Process] = []
    received: list[int] = []

    def pass_on(signum: int, frame: FrameType | None) -> None:
        received.append(signum)
        for child in children:
            child.send_signal(signum)

    wanted = (signal.SIGINT, signal.SIGTERM) if threading.current_thread() is threading.main_thread() else ()
    before = {signum: signal.signal(signum, pass_on) for signum in wanted}
    try:
        yield children, received
    finally:
        for signum, handler in before.items():
            signal.signal(signum, handler)
