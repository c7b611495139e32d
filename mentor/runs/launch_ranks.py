"""Start the ranks of one stage, watch them, and end them together; or be one rank of a launcher's.

A single process is only waited for. When one of several ranks fails, dies or stalls, all are ended: the others would
wait for it for ever. Ranks on other machines are watched there, and what happens to them is heard in the meeting.
"""

from __future__ import annotations

import os
import signal
import socket
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, field, replace
from importlib import import_module
from pathlib import Path
from types import FrameType
from typing import NoReturn

from mentor.progress import STORE, STORE_FD
from mentor.runs.meeting import Failure, Meeting
from mentor.runs.stalls import StallWatch
from mentor.runs.start import Process, start_process
from mentor.runs.status import VARIABLE, Status, read_status
from mentor.runs.terminal import foreground

LOOPBACK = "127.0.0.1"
POLL_S = 0.1
GRACE_S = 4.0  # for other ranks to report their errors, once one has failed
TERMINATE_S = 6.0  # between SIGTERM and SIGKILL


@dataclass(frozen=True)
class Ending:
    """code: 0, or that of the rank that failed first, negative for a signal. cause: why all ranks were ended, None if
    each reported its own error. report: text of that rank for stderr. received: a signal that this process got and
    passed on. at: unix seconds of the failure. killed: whether a signal ended the rank."""

    code: int
    cause: str | None = None
    report: str = ""
    received: int | None = None
    at: float = field(default=0.0, compare=False)
    killed: bool = False


@dataclass(frozen=True)
class RankGroup:
    """The ranks of this machine: `count` from `first` on, of `size` in all."""

    count: int
    first: int
    size: int

    def name(self, index: int) -> str:
        return f"rank {self.first + index} of {self.size}"

    def variables(self, index: int, address: str, port: int, keys: str) -> dict[str, str]:
        """Return torch.distributed's variables of a rank. keys: the prefix of the stage's keys in the store."""
        return {
            "RANK": str(self.first + index),
            "LOCAL_RANK": str(index),
            "WORLD_SIZE": str(self.size),
            "LOCAL_WORLD_SIZE": str(self.count),
            "MASTER_ADDR": address,
            "MASTER_PORT": str(port),
            STORE: keys,
        }


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
    interactive: bool = False,
    meeting: Meeting | None = None,
) -> Ending:
    """Run `python -m module arguments` in `count` processes until all have ended.

    wait: for a fork server to start, see `start_process`. interactive: it is one process, which reads the terminal.
    meeting: with the other nodes, each of `count` ranks.

    distributed: they form a group of torch.distributed and get its variables. Each is the leader of an operating
    system's process group, so that Ctrl-C reaches it once, through this process.
    """
    nodes = meeting.seat.count if meeting is not None else 1
    group = RankGroup(count, count * (meeting.seat.index if meeting is not None else 0), count * nodes)
    with (
        tempfile.TemporaryDirectory(prefix="mentor-ranks-") as scratch,
        socket.create_server((LOOPBACK, 0)) as store,  # found by its port before rank 0 answers there
        passing_on_signals() as (register, received),
    ):
        folder = Path(scratch)
        for index in range(count):
            own, fds = dict(environment), list(pass_fds)
            if distributed and meeting is not None:
                own |= group.variables(index, meeting.seat.address, meeting.seat.port, meeting.keys)
            elif distributed:
                own |= group.variables(index, LOOPBACK, store.getsockname()[1], "ranks")
                if index == 0:
                    own[STORE_FD] = str(store.fileno())
                    fds.append(store.fileno())
            if group.size > 1:
                own[VARIABLE] = str(_status_file(folder, index))
            register.append(start_process(module, arguments, own, fds, wait, interactive))
            if received:  # while it was started
                register[-1].send_signal(received[0])
        try:
            if group.size == 1:
                with foreground(register[0].pid) if interactive else nullcontext():
                    ending = Ending(register[0].wait())
            else:
                ending = _watch(register, group, folder, stall_timeout_s, received, meeting)
                end(register)
        except (
            BaseException
        ):  # raised by a signal handler that ends this process (submitit's, before a job is queued again)
            end(register)
            raise
    if received:
        ending = replace(ending, received=received[0])
    return _settle(ending, meeting)


class ThisProcess:
    """This process as a rank that is watched from a thread; `returncode` is set when its work has ended."""

    def __init__(self) -> None:
        self.pid = os.getpid()
        self.returncode: int | None = None

    def poll(self) -> int | None:
        return self.returncode

    def wait(self) -> int:
        while self.returncode is None:
            time.sleep(POLL_S)
        return self.returncode

    def send_signal(self, signum: int) -> None:
        if self.returncode is None:
            os.kill(self.pid, signum)


def be_rank(
    module: str,
    arguments: Sequence[str],
    environment: Mapping[str, str],
    *,
    local_size: int,
    stall_timeout_s: float,
    meeting: Meeting,
    on_stuck: Callable[[Ending], None],
) -> Ending:
    """Call `module.main(arguments)` here, as the rank that a launcher has made this process, and watch the other ranks.

    on_stuck: called with the ending before this process ends itself, where its work does not heed SIGTERM.
    """
    seat, this = meeting.seat, ThisProcess()
    assert seat.local_rank is not None
    endings: list[Ending] = []
    with tempfile.TemporaryDirectory(prefix="mentor-rank-") as scratch:
        group = RankGroup(local_size, seat.index - seat.local_rank, seat.count)
        variables = group.variables(seat.local_rank, seat.address, seat.port, meeting.keys)
        status = _status_file(Path(scratch), 0)
        os.environ.update({**environment, **variables, "RANK": str(seat.index), VARIABLE: str(status)})
        alone = RankGroup(1, seat.index, seat.count)

        def watch() -> None:
            ending = _watch([this], alone, Path(scratch), stall_timeout_s, [], meeting)
            if this.returncode is None:
                this.send_signal(signal.SIGTERM)
                _wait([this], TERMINATE_S)
            endings.append(_settle(ending, meeting))
            if this.returncode is None:
                _end_here(endings[0], on_stuck)

        watcher = threading.Thread(target=watch, name="rank watcher", daemon=True)
        watcher.start()
        handlers = {signum: signal.getsignal(signum) for signum in (signal.SIGINT, signal.SIGTERM, signal.SIGUSR2)}
        code = import_module(module).main(list(arguments))
        for signum, handler in handlers.items():
            signal.signal(signum, handler)
        this.returncode = code
        stopped = code - 128 if code in (128 + signal.SIGINT, 128 + signal.SIGTERM) else None
        if stopped is not None and meeting.cause() is None:  # by its launcher, which waits for nobody
            ending = Ending(1, report=read_status(status).report, received=stopped)
            return _settle(ending, meeting)
        watcher.join()
    return endings[0]


def _end_here(ending: Ending, on_stuck: Callable[[Ending], None]) -> NoReturn:
    try:
        on_stuck(ending)
    finally:
        os._exit(1)


def _settle(ending: Ending, meeting: Meeting | None) -> Ending:
    """Return how the stage has ended on all machines, where it has failed on this one."""
    if meeting is None or not ending.code:
        return ending
    if ending.received is not None:
        meeting.fail(Failure(1, f"was stopped by {signal.Signals(ending.received).name}", at=time.time()))
        return ending
    found = meeting.settle(Failure(ending.code, ending.cause, ending.report, ending.at or time.time(), ending.killed))
    return Ending(found.code, found.cause, ending.report or found.report)


def _status_file(folder: Path, index: int) -> Path:
    return folder / f"rank-{index}.json"


def _watch(
    children: Sequence[Process],
    group: RankGroup,
    folder: Path,
    stall_timeout_s: float,
    received: Sequence[int],
    meeting: Meeting | None,
) -> Ending:
    """Wait for all ranks of this machine, or until all have to end: one stalls, or fails (after GRACE_S for the others
    to report), or one elsewhere."""
    stalls = StallWatch([child.pid for child in children], stall_timeout_s, time.monotonic())
    while any(child.poll() is None for child in children):
        time.sleep(POLL_S)
        statuses = [read_status(_status_file(folder, index)) for index in range(len(children))]
        if received:
            _wait(children, TERMINATE_S)
            end(children)
            return Ending(1, report=read_status(_status_file(folder, 0)).report)
        if any(child.poll() not in (None, 0) for child in children):
            if meeting is not None:
                meeting.failing()
            return _after_failure(children, group, folder)
        if meeting is not None:
            meeting.report(statuses[0].phase)
            if (found := meeting.cause()) is not None:
                return Ending(found.code, found.cause, found.report)
        for index, limit, silent in stalls.look(statuses, time.monotonic()):
            if children[index].poll() is None:
                cause = f"{group.name(index)} made no progress for {limit:.0f} s in phase {statuses[index].phase}"
                return Ending(1, cause, _stack(statuses[index]), at=time.time() - silent)
    if any(child.returncode for child in children):  # all at once
        return _after_failure(children, group, folder)
    return Ending(0)


def _after_failure(children: Sequence[Process], group: RankGroup, folder: Path) -> Ending:
    """Find the rank that caused the failure: one ended by a signal, else the one that failed first."""
    _wait(children, GRACE_S)
    failed = {index: code for index, child in enumerate(children) if (code := child.poll())}
    statuses = {index: read_status(_status_file(folder, index)) for index in failed}
    index = min(failed, key=lambda i: (failed[i] > 0, statuses[i].failed_at or float("inf"), i))
    status, code, at = statuses[index], failed[index], statuses[index].failed_at or time.time()
    if code < 0:
        cause = f"{group.name(index)} was ended by {signal.Signals(-code).name} in phase {status.phase}"
        return Ending(1, cause, _stack(status), at=at, killed=True)
    if len(failed) == len(children) and set(failed.values()) == {code}:
        return Ending(code, report=status.report, at=at)  # all failed alike: one report is enough
    return Ending(code, f"{group.name(index)} failed in phase {status.phase}", status.report, at=at)


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
