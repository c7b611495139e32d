"""An embedded sampler in a process of its own, seen from the process that it samples for.

What the process does is `sampler_process`. It samples without being asked for steps: `step` hands over what was asked
for since the last one, and takes the completions that have come.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Collection, Sequence
from contextlib import suppress
from functools import cached_property
from multiprocessing import Pipe
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import torch

import mentor
from mentor import progress
from mentor.errors import SamplerError
from mentor.sampling.sampler import Completion, SamplingParams, check_request, check_scoring
from mentor.sampling.sampler_process import ProcessSettings
from mentor.sampling.vllm_environment import RANK_VARIABLES, gpu_names

SILENT_S = 600.0  # without a sign of life the process hangs; no step of a model that is worth training takes so long
ENDING_S = 5.0  # for a process whose connection has closed


class ProcessSampler:
    """An engine of `EngineGroup`. connection: to the process, which has its settings and is starting.

    Raises SamplerError in one line where the process fails, ends or hangs; then only `close` works.
    """

    def __init__(
        self,
        settings: ProcessSettings,
        end_ids: Collection[int],
        process: subprocess.Popen[bytes],
        connection: Connection,
    ) -> None:
        self.settings, self.end_ids = settings, end_ids
        self._process, self._connection = process, connection
        self.outputs: Sequence[int] = (connection.fileno(),)
        self._new: list[tuple[str, Sequence[int], SamplingParams]] = []  # not handed over yet
        self._running: set[str] = set()
        self._heard = time.monotonic()

    @cached_property
    def vocabulary(self) -> int:
        """The number of token ids, which the process says when it has loaded its model."""
        with progress.phase("start"):
            return int(self._receive("ready"))

    @property
    def busy(self) -> bool:
        return bool(self._running)

    @property
    def has_output(self) -> bool:
        return self._connection.poll()

    def add_request(self, session: str, token_ids: Sequence[int], params: SamplingParams) -> None:
        if session in self._running:
            raise SamplerError(f"session {session} already has a running request")
        check_request(session, token_ids, params, self.settings.max_tokens, self.vocabulary)
        self._new.append((session, list(token_ids), params))
        self._running.add(session)

    def step(self) -> list[Completion]:
        """Hand over the new requests, all at once, and take the completions that are there."""
        self.vocabulary  # noqa: B018 - what the process says first
        if self._new:
            self._send("add_requests", tuple(self.end_ids), self._new)
            self._new, self._heard = [], time.monotonic()
        done: list[Completion] = []
        while self.has_output:
            done += self._receive("done")
        self._running -= {completion.session for completion in done}
        if self._running and time.monotonic() > self._heard + SILENT_S:
            raise self._hangs()
        return done

    def end_session(self, session: str) -> None:
        if session in self._running:
            raise SamplerError(f"session {session} ended while its request runs")
        self._send("end_session", session)

    def logprobs(self, token_ids: Sequence[int], count: int, temperature: float) -> list[float]:
        self._must_be_idle("logprobs were asked for")
        check_scoring(token_ids, count, self.settings.max_tokens)
        found: list[float] = self._ask("logprobs", token_ids, count, temperature)
        return found

    def checksums(self) -> dict[str, int]:
        found: dict[str, int] = self._ask("checksums")
        return found

    def sleep(self) -> None:
        """Free the cache."""
        self._must_be_idle("sleep was asked for")
        self._send("sleep")

    def load_files(self, folder: Path) -> None:
        self._must_be_idle("new weights came")
        self._ask("load_files", str(folder))

    def close(self) -> None:
        self._connection.close()
        self._process.kill()
        self._process.wait()

    def _must_be_idle(self, what: str) -> None:
        if self._running:
            raise SamplerError(f"{what} while requests run")

    def _ask(self, name: str, *arguments: Any) -> Any:
        """Ask for something that is answered, while no request runs."""
        self.vocabulary  # noqa: B018 - what it says first
        self._send(name, *arguments)
        if not self._connection.poll(SILENT_S):
            raise self._hangs()
        return self._receive("answer")

    def _send(self, name: str, *arguments: Any) -> None:
        try:
            self._connection.send((name, arguments))
        except (BrokenPipeError, ConnectionResetError):
            while True:  # up to what it said before it ended
                self._receive("done")

    def _receive(self, kind: str) -> Any:
        """Wait for the next message, of this kind."""
        try:
            found, value = self._connection.recv()
        except (EOFError, ConnectionResetError):
            raise self._ended() from None
        self._heard = time.monotonic()
        if found == "failed":
            raise SamplerError(f"{self._name} failed: {value}")
        if found != kind:
            raise SamplerError(f"{self._name} said {found} where {kind} was expected")
        return value

    @property
    def _name(self) -> str:
        return f"the process {self._process.pid} of sampler=transformers"

    def _ended(self) -> SamplerError:
        with suppress(subprocess.TimeoutExpired):
            self._process.wait(ENDING_S)
        code = self._process.returncode
        how = "closed its connection" if code is None else f"ended with exit code {code}"
        if code is not None and code < 0:
            how = f"was ended by {signal.Signals(-code).name}"
        return SamplerError(f"{self._name} {how}")

    def _hangs(self) -> SamplerError:
        return SamplerError(f"{self._name} hangs: it said nothing for {SILENT_S:.0f} s")


def start_process(settings: ProcessSettings, end_ids: Collection[int]) -> ProcessSampler:
    """Start the process; it loads its model while this one goes on."""
    environment = {name: value for name, value in os.environ.items() if name not in RANK_VARIABLES}
    paths = [str(Path(mentor.__file__).parents[1]), os.environ.get("PYTHONPATH", "")]
    environment |= {"OMP_NUM_THREADS": str(settings.threads), "PYTHONPATH": os.pathsep.join(filter(None, paths))}
    if torch.cuda.is_available():
        environment["CUDA_VISIBLE_DEVICES"] = ",".join(gpu_names(settings.first_gpu, 1))
    ours, theirs = Pipe()
    with theirs:
        process = subprocess.Popen(
            [sys.executable, "-m", "mentor.sampling.sampler_process", str(theirs.fileno())],
            pass_fds=[theirs.fileno()],
            env=environment,
            start_new_session=True,  # an interrupt at the terminal reaches this process alone
        )
    ours.send(settings)
    return ProcessSampler(settings, end_ids, process, ours)
