"""The processes of one command on several machines: they meet at a store of torch's, agree on stages, watch each other.

The first holds the folder of the run, says whether a stage starts, and judges: each of the others tells it every half
second that it lives, where it is and whether it has failed. What ended one ends all, by name. Only a thread of each
process talks to the store, so that a host that is gone blocks nobody.
"""

from __future__ import annotations

import json
import os
import queue
import socket
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from datetime import timedelta
from typing import TYPE_CHECKING, Any, TypeVar

from mentor import __version__
from mentor.config import Config
from mentor.errors import ConfigError, MentorError, StageError, one_line
from mentor.runs.identity import differences
from mentor.runs.process_environment import process_environment
from mentor.runs.seat import Seat, find_seat

if TYPE_CHECKING:  # torch takes seconds to import, and a command on one machine needs none here
    from torch.distributed import Store

EVERY_S = 0.5
SILENT_S = 30.0  # without a sign of life, after which a process counts as dead
LEAVING_S = 3.0  # to tell the others that this process leaves
COMING_S = 300.0  # for all processes to come to the store
NOT_COMPARED = ("launcher", "logger", "paths")
REPORT_CHARACTERS = 8000
POLL_S = 0.05

T = TypeVar("T")


class EndedElsewhere(MentorError):
    """Another process of this command has failed, which ends this one."""

    def __init__(self, message: str, exit_code: int) -> None:
        super().__init__(message)
        self.exit_code = exit_code


@dataclass(frozen=True)
class Failure:
    """Why a process ended. cause: None where each rank has reported the same error itself. report: text of the rank to
    blame. at: unix seconds. killed: by a signal, which makes the other processes fail as well."""

    code: int = 1
    cause: str | None = None
    report: str = ""
    at: float = 0.0
    killed: bool = False


@dataclass(frozen=True)
class SignOfLife:
    """failing: one of its ranks has failed, and the failure is still being found out. seen: it knows why all end."""

    count: int = 0
    host: str = ""
    phase: str = "start"
    failing: bool = False
    failure: Failure | None = None
    seen: bool = False
    left: bool = False

    def text(self) -> str:
        return json.dumps(asdict(self))

    @classmethod
    def parse(cls, text: bytes) -> SignOfLife:
        values = json.loads(text)
        failure = values["failure"]
        return cls(**{**values, "failure": None if failure is None else Failure(**failure)})


@contextmanager
def meet(configs: Sequence[Config]) -> Iterator[Meeting | None]:
    """Meet the other processes of a command of these stages; None for a command on one machine without a launcher.

    Raises ConfigError where keys and variables do not fit together, StageError where not all come.
    """
    seat = find_seat(configs, os.environ)
    if seat is None:
        yield None
        return
    if seat.is_rank:  # torch, which the meeting imports, reads them
        os.environ.update(process_environment(configs[0]))
    meeting = Meeting(seat)
    try:
        yield meeting
    except BaseException as error:
        meeting.fail(Failure(getattr(error, "exit_code", 1), one_line(error), at=time.time()))
        raise
    finally:
        meeting.leave()


class Meeting:
    """One of the processes; `index` 0 is the first."""

    def __init__(self, seat: Seat) -> None:
        self.seat = seat
        self._own = SignOfLife(host=socket.gethostname())
        self._outgoing: queue.SimpleQueue[tuple[str, str]] = queue.SimpleQueue()
        self._asked: tuple[str, ...] = ()
        self._answers: dict[tuple[str, ...], list[bytes]] = {}  # by what was asked for
        self._cause: Failure | None = None
        self._problem: tuple[float, Sequence[int]] | None = None  # when the first was noticed, and all counts then
        self._stages = self._count = 0
        self._lost = False
        self._told = threading.Event()
        self._wake = threading.Event()
        self._held, self._session = in_thread(lambda: open_store(seat))  # the store ends with the first's connection
        self._store = self._session.store
        self._others = {index: (SignOfLife(), time.monotonic()) for index in range(seat.count) if index != seat.index}
        self._thread = threading.Thread(target=self._exchange, name="meeting", daemon=True)
        self._thread.start()

    @property
    def is_first(self) -> bool:
        """Whether this process holds the run's folder."""
        return self.seat.index == 0

    @property
    def name(self) -> str:
        return self.seat.name(self.seat.index, self._own.host)

    @property
    def keys(self) -> str:
        """Name the keys in the store that the ranks of this stage have for themselves."""
        return f"ranks{self._session.number}-{self._stages}"

    # --- agreeing on a stage -----------------------------------------------------------------------------------------

    def begin(self, values: Mapping[str, Any]) -> None:
        """Begin the next stage. values: its configuration. Raises ConfigError in the first where one has another."""
        self._stages += 1
        shown = {"mentor": __version__, **{key: value for key, value in values.items() if key not in NOT_COMPARED}}
        self._say(f"values/{self.seat.index}", shown)
        if not self.is_first:
            return
        for index, given in enumerate(self._hear(*(f"values/{index}" for index in range(self.seat.count)))):
            if differing := differences(shown, given):
                raise ConfigError(
                    f"{self._name_of(index)} was given another configuration ({'; '.join(differing)}); accepted: the "
                    "same command on all nodes"
                )

    def start(self, how: Mapping[str, Any]) -> None:
        """Tell the others, as the first, that the stage starts and how."""
        self._say("start", how)

    def done(self, result: Any) -> None:
        """Tell the others, as the first, the result of a stage, whether it has started here or was done before."""
        self._say("start", {"done": True})
        self._say("done", result)

    def hear_start(self) -> dict[str, Any] | None:
        """Wait for the first to start the stage: how, None where it is done. Raises EndedElsewhere."""
        (how,) = self._hear("start")
        return None if how.get("done") else dict(how)

    def hear_result(self) -> Any:
        """Wait for the first's result of the stage. Raises EndedElsewhere."""
        return self._hear("done")[0]

    def _say(self, key: str, value: Any) -> None:
        self._outgoing.put((f"stage{self._stages}/{key}", json.dumps(value)))
        self._wake.set()

    def _hear(self, *keys: str) -> list[Any]:
        asked = self._asked = tuple(f"stage{self._stages}/{key}" for key in keys)
        self._wake.set()
        while asked not in self._answers:
            self.check()
            time.sleep(POLL_S)
        return [json.loads(text) for text in self._answers[asked]]

    # --- watching each other -----------------------------------------------------------------------------------------

    def report(self, phase: str) -> None:
        """Say where this process is."""
        if phase != self._own.phase:
            self._own = replace(self._own, phase=phase)

    def failing(self) -> None:
        """Say that a rank has failed, before it is known which and why."""
        self._own = replace(self._own, failing=True)
        self._wake.set()

    def cause(self) -> Failure | None:
        """Return why all processes have to end; None while they need not."""
        if self._cause is None and not self.is_first:
            sign, heard = self._others[0]
            name, silent = self._name_of(0), time.monotonic() - heard
            if self._lost:
                where = f"its store at {self.seat.address}:{self.seat.port} does not answer"
                self._cause = Failure(cause=f"{name} has gone in phase {sign.phase}: {where}")
            elif silent > SILENT_S:
                self._cause = Failure(cause=f"{name} gave no sign of life for {silent:.0f} s in phase {sign.phase}")
        return self._cause

    def check(self) -> None:
        """Raise EndedElsewhere where all processes have to end."""
        if (cause := self.cause()) is not None:
            raise EndedElsewhere(cause.cause or "another process failed", 2 if cause.code == 2 else 1)

    def settle(self, failure: Failure) -> Failure:
        """Say that this process has failed; returns what all processes end with, which may be another's failure."""
        self.fail(failure)
        deadline = time.monotonic() + SILENT_S + COMING_S / 10
        while (cause := self.cause()) is None and time.monotonic() < deadline:
            time.sleep(POLL_S)
        return cause or failure

    def fail(self, failure: Failure) -> None:
        """Say that this process has failed, and wait for nobody."""
        if self._own.failure is None:
            report = failure.report[-REPORT_CHARACTERS:]
            self._own = replace(self._own, failing=True, failure=replace(failure, report=report))
        self._wake.set()

    def leave(self) -> None:
        """Leave the meeting; the first waits until the others need its store no more."""
        deadline = time.monotonic() + SILENT_S
        while self.is_first and time.monotonic() < deadline and not all(map(self._has_finished, self._others)):
            time.sleep(POLL_S)
        self._own = replace(self._own, left=True)
        self._wake.set()
        self._thread.join(LEAVING_S)  # or it is blocked by a host that is gone

    def _has_finished(self, index: int) -> bool:
        sign, heard = self._others[index]
        return sign.left or (self._cause is not None and sign.seen) or time.monotonic() - heard > SILENT_S

    def _name_of(self, index: int) -> str:
        sign = self._own if index == self.seat.index else self._others[index][0]
        return self.seat.name(index, sign.host)

    # --- the thread --------------------------------------------------------------------------------------------------

    def _exchange(self) -> None:
        try:
            while not self._told.is_set():
                self._wake.clear()
                while not self._outgoing.empty():
                    self._store.set(*self._outgoing.get())
                self._count += 1
                own = replace(self._own, count=self._count, seen=self._cause is not None)
                self._store.set(f"life/{self.seat.index}", own.text())
                if own.left:
                    self._told.set()
                asked = self._asked
                if asked and asked not in self._answers and self._store.check(list(asked)):
                    self._answers[asked] = self._store.multi_get(list(asked))
                if self.is_first:
                    self._judge()
                elif self._store.check(["life/0"]):
                    self._hear_life(0, self._store.get("life/0"))
                    if self._store.check(["verdict"]):
                        self._cause = Failure(**json.loads(self._store.get("verdict")))
                self._wake.wait(EVERY_S)
        except RuntimeError:  # of the store, as torch's DistError: its holder has gone, which the caller is told
            self._lost = True

    def _judge(self) -> None:
        """Find out, as the first, why all end: once each has failed, has gone on after the first failure, or is silent.

        The failures that follow from another's are told apart from it: processes in a collective fail when one dies.
        """
        for index in self._others:
            if self._store.check([f"life/{index}"]):
                self._hear_life(index, self._store.get(f"life/{index}"))
        signs = {0: replace(self._own, count=self._count), **{index: sign for index, (sign, _) in self._others.items()}}
        now = time.monotonic()
        silent = {index: now - heard for index, (sign, heard) in self._others.items() if not sign.left}
        silent = {index: seconds for index, seconds in silent.items() if seconds > SILENT_S}
        if self._cause is not None or not (silent or any(sign.failing for sign in signs.values())):
            return
        if self._problem is None:
            self._problem = (now, [signs[index].count for index in range(self.seat.count)])
        open_cases = [
            index
            for index, sign in signs.items()
            if index not in silent
            and not sign.left
            and sign.failure is None
            and (sign.failing or sign.count < self._problem[1][index] + 2)
        ]
        if open_cases:
            return
        self._cause = self._verdict(signs, silent)
        self._store.set("verdict", json.dumps(asdict(self._cause)))

    def _verdict(self, signs: Mapping[int, SignOfLife], silent: Mapping[int, float]) -> Failure:
        failures = {index: sign.failure for index, sign in signs.items() if sign.failure is not None}
        killed = [index for index, failure in failures.items() if failure.killed]
        if silent and not killed:
            index = min(silent)
            sign = self._others[index][0]
            name, seconds = self._name_of(index), silent[index]
            return Failure(cause=f"{name} gave no sign of life for {seconds:.0f} s in phase {sign.phase}")
        alike = {(failure.code, failure.cause) for failure in failures.values()}
        if len(failures) == self.seat.count and len(alike) == 1:
            return failures[0]
        index = min(killed or failures, key=lambda index: failures[index].at)
        failure = failures[index]
        said = (failure.report.strip().splitlines() or ["no reason was recorded"])[-1].removeprefix("mentor: ")
        if failure.cause and self.seat.is_rank:  # which the cause names itself
            return replace(failure, cause=f"{failure.cause} on {signs[index].host}")
        return replace(failure, cause=f"{self._name_of(index)}: {failure.cause or said}")

    def _hear_life(self, index: int, text: bytes) -> None:
        sign = SignOfLife.parse(text)
        if sign.count != self._others[index][0].count:
            self._others[index] = (sign, time.monotonic())


def in_thread(function: Callable[[], T]) -> T:
    """Return what a function returns that torch blocks in, so that Ctrl-C ends the wait for it."""
    found: list[T] = []
    failed: list[BaseException] = []

    def run() -> None:
        try:
            found.append(function())
        except BaseException as error:
            failed.append(error)

    thread = threading.Thread(target=run, name="meeting place", daemon=True)
    thread.start()
    while thread.is_alive():
        thread.join(POLL_S)
    if failed:
        raise failed[0]
    return found[0]


@dataclass(frozen=True)
class Session:
    """store: of this attempt's keys. number: of the attempt; torchrun keeps its store when it starts all again."""

    store: Store
    number: int


def open_store(seat: Seat) -> tuple[Store, Session]:
    """Return the store, which the first or torchrun holds, once all have come to it, and the meeting's part of it.

    Raises ConfigError where the port is taken or the address unknown, StageError where not all come in time.
    """
    os.environ.setdefault("TORCH_CPP_LOG_LEVEL", "ERROR")
    import torch.distributed as dist

    where = f"{seat.address}:{seat.port}"
    host = f"[{seat.address}]" if ":" in seat.address else seat.address
    patience = timedelta(seconds=COMING_S)
    try:
        held, _, _ = next(dist.rendezvous(f"tcp://{host}:{seat.port}", seat.index, seat.count, timeout=patience))
        own = dist.TCPStore(seat.address, seat.port, is_master=False, wait_for_workers=False, timeout=patience)
        number = (held.add("came", 1) - 1) // seat.count
    except RuntimeError as error:
        said = one_line(error, 200)
        if "EADDRINUSE" in said or "address already in use" in said:
            raise ConfigError(
                f"port {seat.port} of this machine is in use; accepted: a free one, launcher.master_port=<port>, or "
                "MASTER_PORT of a launcher"
            ) from None
        came = f"not all {seat.count} processes came to {where} within {COMING_S:.0f} s"
        raise StageError(came if seat.index == 0 else f"{came}, or it cannot be reached ({said})") from None
    return held, Session(dist.PrefixStore(f"meeting{number}", own), number)
