"""The parent's side of one stage: preflight, lock, claim the folder, start a fresh child, wait, read what it left.

The same path serves a single stage, a pipeline's steps and the points of a multirun.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import FrameType

from mentor.config import Config, dump
from mentor.errors import MentorError
from mentor.runs.folder import RunFolder, claim, settle, stage_folder, write_config
from mentor.runs.identity import config_hash, identity
from mentor.runs.lock import FolderLock
from mentor.runs.preflight import preflight
from mentor.runs.provenance import headline_value, read_summary

REMADE = ("eval", "report")
"""Stages whose folder takes any config: eval compares below it, a report is always made anew."""


class ChildStopped(KeyboardInterrupt):
    """A signal to this process was passed on to the child, which has said so; ends a sweep or pipeline too."""

    def __init__(self, signum: int) -> None:
        super().__init__(f"stopped by {signal.Signals(signum).name}")
        self.exit_code = 128 + signum


class ChildFailed(MentorError):
    """The child ended with an error that it has already reported."""

    def __init__(self, message: str, exit_code: int) -> None:
        super().__init__(message)
        self.exit_code = exit_code


def run_stage(
    config: Config, root: Path, own_root: Path | None = None, on_start: Callable[[str | None], None] | None = None
) -> float | None:
    """Do one stage and return its headline number (None where it has none). A stage that is done is not run again.

    root: where earlier stages are read. own_root: where this stage's folder is made; root itself unless it is a point.
    on_start: called with the config hash just before the child starts.
    """
    if config.stage.name == "score":
        return _run_score(config, root)
    folder = RunFolder((own_root or root) / stage_folder(config), root)
    values = dump(config)
    upstream = preflight(config, folder)
    if upstream:
        values["upstream"] = upstream
    with FolderLock(folder.path) as lock:
        resumed = config.stage.name not in REMADE and claim(folder.path, values, config.overwrite)
        summary = read_summary(folder.path) if resumed else None
        if summary is not None and summary["status"] == "done":
            say(f"stage={config.stage.name} is done in {folder.path}; overwrite=true runs it again")
            return headline_value(summary)
        write_config(folder.path, values)  # resumed: with this command's logger and launcher
        if on_start is not None:
            on_start(config_hash(identity(values)))
        code = _run_child(config, RunFolder(folder.path, root, resumed), lock.fd)
        if code == 2 and lock.created:
            lock.remove()
        else:
            settle(folder.path, restore=code == 2)
        _raise_failed(config, code)
        return headline_value(read_summary(folder.path))


def say(text: str) -> None:
    """One line from the parent, on stderr."""
    sys.stderr.write(f"mentor: {text}\n")
    sys.stderr.flush()


def _run_score(config: Config, root: Path) -> float | None:
    """Score writes one file where the user says: its config and summary live in a folder that goes away."""
    with tempfile.TemporaryDirectory(prefix="mentor-score-") as temporary:
        folder = RunFolder(Path(temporary), root)
        write_config(folder.path, dump(config))
        _raise_failed(config, _run_child(config, folder, None))
        return headline_value(read_summary(folder.path))


def _raise_failed(config: Config, code: int) -> None:
    if code < 0:
        name = signal.Signals(-code).name
        raise MentorError(f"stage={config.stage.name} was ended by {name}; running it again resumes it")
    if code:
        raise ChildFailed(f"stage={config.stage.name} failed", 2 if code == 2 else 1)


def _run_child(config: Config, folder: RunFolder, lock_fd: int | None) -> int:
    """Start the stage in a fresh process and wait; SIGINT and SIGTERM are passed on. Returns its exit code."""
    command = [sys.executable, "-m", "mentor.child", "--folder", str(folder.path), "--root", str(folder.root)]
    command += ["--resumed"] if folder.resumed else []
    command += ["--lock-fd", str(lock_fd)] if lock_fd is not None else []
    threads = config.launcher.threads or len(os.sched_getaffinity(0))
    environment = {**os.environ, "OMP_NUM_THREADS": str(threads)}
    environment.setdefault("GOMP_SPINCOUNT", "1000")  # threads that wait by spinning starve others on shared cores
    if not sys.stderr.isatty():
        environment.setdefault("HF_HUB_DISABLE_PROGRESS_BARS", "1")  # bars of transformers and the hub fill a log
    if not _names_the_hub(config):
        environment.setdefault("HF_HUB_OFFLINE", "1")  # transformers asks the hub even about local folders, and retries
    watched, ours = os.pipe()  # the child sees its end close when this process ends, also by SIGKILL
    command += ["--parent-fd", str(watched)]
    # In a process group of its own a Ctrl-C reaches the child once, through the parent.
    with _passing_on_signals() as (register, received):
        child = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            env=environment,
            pass_fds=[watched] if lock_fd is None else [watched, lock_fd],
            process_group=0,
        )
        os.close(watched)
        register.append(child)
        code = child.wait()
    os.close(ours)
    if received:
        raise ChildStopped(received[0])
    return code


def _names_the_hub(config: Config) -> bool:
    """Whether a model or data set of this stage is none of this machine's files, so the hub has to be asked for it."""
    tasks = [config.task, *(benchmark.task for benchmark in config.benchmark.values())]
    paths = [config.model.path if config.model else None, *(task.path for task in tasks if task is not None)]
    return any(path is not None and not Path(path).exists() for path in paths)


@contextmanager
def _passing_on_signals() -> Iterator[tuple[list[subprocess.Popen[bytes]], Sequence[int]]]:
    """Signals to this process go to the registered child; what came is listed. Only the main thread can do so."""
    children: list[subprocess.Popen[bytes]] = []
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
