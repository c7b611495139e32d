"""Why a vLLM engine failed, in one line: from its error, its output, or the signal that ended its process."""

from __future__ import annotations

import multiprocessing.connection
import os
import re
import signal
import sys
import tempfile
import time
from typing import IO, Any

VALIDATION = ("Value error, ", "Assertion failed, ")  # what pydantic puts before a reason


def short_reason(error: BaseException) -> str:
    """Return the first sentence of an error, its type where it has no text."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    said = next((line for line in lines if line.startswith(VALIDATION)), lines[0] if lines else "")
    for prefix in VALIDATION:
        said = said.removeprefix(prefix)
    return first_sentence(said) or type(error).__name__


def first_sentence(text: str) -> str:
    """Return the first sentence of a message, without what pydantic and vLLM's executor put around it."""
    text = re.sub(r"\s*\[type=.*", "", text)
    text = re.sub(r"^Worker failed with error ['\"](.*)['\"], please check .*", r"\1", text)
    return re.split(r"(?<=[\w)'\]])\.\s+(?=[A-Z])", text)[0].rstrip(".")


class CapturedOutput:
    """A context that sends what this process and its children print into a file; children keep writing there."""

    def __init__(self) -> None:
        self._file: IO[bytes] = tempfile.TemporaryFile()  # noqa: SIM115 - open as long as the engine's process prints

    def __enter__(self) -> None:
        sys.stdout.flush()
        sys.stderr.flush()
        self._kept = [os.dup(1), os.dup(2)]
        for descriptor in (1, 2):
            os.dup2(self._file.fileno(), descriptor)

    def __exit__(self, *exception: Any) -> None:
        sys.stdout.flush()
        sys.stderr.flush()
        for descriptor, kept in zip((1, 2), self._kept, strict=True):
            os.dup2(kept, descriptor)
            os.close(kept)

    def last_error(self) -> str | None:
        """Return the message of the last exception printed; None without one."""
        size = os.fstat(self._file.fileno()).st_size
        text = os.pread(self._file.fileno(), size, 0).decode(errors="replace")
        found = re.findall(r"(?:^|\s)(?:[\w.]+\.)?\w*(?:Error|Exception): (.+)$", text, re.MULTILINE)
        return first_sentence(found[-1].strip()) if found else None


def engine_processes(client: Any) -> list[Any]:
    """List the processes of a separate engine."""
    manager = client.resources.engine_manager
    return list(manager.processes) if manager is not None else []


def killed_by(client: Any) -> str | None:
    """Name the signal that ended the engine's process; None where none did."""
    if not client.resources.engine_dead:
        return None
    for process in engine_processes(client):
        for _ in range(100):  # a thread of vLLM's may just be asking for the code
            if process.exitcode is not None:
                break
            time.sleep(0.01)
        if process.exitcode is not None and process.exitcode < 0:
            return signal.Signals(-process.exitcode).name
    return None


def fail_waiting_calls(client: Any) -> None:
    """Wait for the engine's process to end; then fail every call that waits for an answer from it.

    vLLM notices the end of a killed process too, but leaves the calls that already wait for it waiting.
    """
    multiprocessing.connection.wait([process.sentinel for process in engine_processes(client)])
    client.resources.engine_dead = True
    error = RuntimeError("its process has ended")
    client.outputs_queue.put_nowait(error)
    for waiting in list(client.utility_results.values()):
        if not waiting.done():
            waiting.set_exception(error)
