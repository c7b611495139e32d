"""Run one stage from its parent: preflight, lock, claim the folder, start a child, wait, read its summary.

A single stage, a step of a pipeline and a point of a sweep all run through here.
"""

from __future__ import annotations

import os
import signal
import sys
import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from mentor.config import Config, ScaledTrainer, dump
from mentor.errors import MentorError
from mentor.runs.folder import FOLDERLESS, RunFolder, claim, settle, stage_folder, write_config
from mentor.runs.launch_ranks import Ending, run_ranks
from mentor.runs.lock import FolderLock
from mentor.runs.preflight import preflight
from mentor.runs.provenance import Headline, headline, note_failure, read_summary
from mentor.runs.watchdog import pipe_to_children

REMADE = ("eval", "report")
"""Stages whose folder takes any config: eval compares configs per evaluation, a report is always made anew."""
LIGHT = ("rollout", "score", "report")
"""Stages that import little: sooner done in a new process than after waiting for a fork server to start."""


class ChildStopped(KeyboardInterrupt):
    """A signal was passed on to the child, which has reported it. Ends a sweep or pipeline as well."""

    def __init__(self, signum: int) -> None:
        super().__init__(f"stopped by {signal.Signals(signum).name}")
        self.exit_code = 128 + signum


class ChildFailed(MentorError):
    """The child ended with an error that it has already reported."""

    def __init__(self, message: str, exit_code: int) -> None:
        super().__init__(message)
        self.exit_code = exit_code


def run_stage(
    config: Config, root: Path, own_root: Path | None = None, on_start: Callable[[], None] = lambda: None
) -> Headline | None:
    """Run one stage and return its headline (None if it has none). A stage that is done is not run again.

    root: folder of the earlier stages. own_root: where the folder of this stage is made; root if None.
    on_start: called just before the child starts.
    """
    if config.stage.name in FOLDERLESS or getattr(config.teacher, "dry_run", False):
        on_start()
        return _run_folderless(config, root)
    folder = RunFolder((own_root or root) / stage_folder(config), root)
    values = dump(config)
    upstream = preflight(config, folder)
    if upstream:
        values["upstream"] = upstream
    with FolderLock(folder.path) as lock:
        resumed = config.stage.name not in REMADE and claim(folder.path, values, config.overwrite)
        summary = read_summary(folder.path) if resumed else None
        if summary is not None and summary["status"] == "done" and "stopped_by" not in summary.get("counts", {}):
            say(f"stage={config.stage.name} is done in {folder.path}; overwrite=true runs it again")
            return headline(summary)
        write_config(folder.path, values)  # resumed: with this command's logger and launcher
        on_start()
        ending = _run_child(config, RunFolder(folder.path, root, resumed), lock.fd)
        left = read_summary(folder.path)
        if ending.code == 2 and lock.created:
            lock.remove()
        else:
            settle(folder.path, restore=ending.code == 2)
        _raise_failed(config, ending, left)
        return headline(read_summary(folder.path))


def say(text: str) -> None:
    """Print one line on stderr."""
    sys.stderr.write(f"mentor: {text}\n")
    sys.stderr.flush()


def _run_folderless(config: Config, root: Path) -> Headline | None:
    """Run a stage without a folder: its config and summary are in a temporary one."""
    with tempfile.TemporaryDirectory(prefix=f"mentor-{config.stage.name}-") as temporary:
        folder = RunFolder(Path(temporary), root)
        write_config(folder.path, dump(config))
        ending = _run_child(config, folder, None)
        _raise_failed(config, ending, read_summary(folder.path))
        return headline(read_summary(folder.path))


def _raise_failed(config: Config, ending: Ending, summary: Mapping[str, Any] | None) -> None:
    """Raise the error of a child that failed. summary: the one that the child wrote."""
    stage, again = f"stage={config.stage.name}", "running it again resumes it"
    if ending.code < 0:
        raise MentorError(f"{stage} was ended by {signal.Signals(-ending.code).name}; {again}")
    if ending.cause is not None:
        raise MentorError(f"{stage}: {ending.cause}; {again}")
    if ending.code:
        raise ChildFailed(
            f"{stage} failed: {(summary or {}).get('error') or 'no reason was recorded'}", 2 if ending.code == 2 else 1
        )


def _run_child(config: Config, folder: RunFolder, lock_fd: int | None) -> Ending:
    """Run the stage in new processes (one, or as many ranks as its trainer asks for) and wait for them.

    Raises ChildStopped after a signal, which was passed on to them.
    """
    arguments = ["--folder", str(folder.path), "--root", str(folder.root)]
    arguments += ["--resumed"] if folder.resumed else []
    arguments += ["--lock-fd", str(lock_fd)] if lock_fd is not None else []
    only_plans = config.stage.name == "check"  # plans for the ranks of another stage, and asks no hub
    trainer = config.trainer if isinstance(config.trainer, ScaledTrainer) and not only_plans else ScaledTrainer()
    environment = {**os.environ, **_threads(config.launcher.threads, trainer.num_processes)}
    environment.setdefault("GOMP_SPINCOUNT", "1000")  # spinning threads starve others on shared cores
    environment.setdefault("TORCH_CPP_LOG_LEVEL", "ERROR")  # gloo warns of a backend it does not need
    if not sys.stderr.isatty():
        environment.setdefault("HF_HUB_DISABLE_PROGRESS_BARS", "1")  # bars of transformers and the hub fill a log
    if only_plans or not _names_the_hub(config):
        environment.setdefault("HF_HUB_OFFLINE", "1")  # transformers asks the hub even about local folders, and retries
    waits = config.tools.timeout_s if config.tools is not None else 0.0  # a rank may wait this long for a tool
    with pipe_to_children() as watched:
        ending = run_ranks(
            "mentor.child",
            [*arguments, "--parent-fd", str(watched)],
            environment,
            [watched] if lock_fd is None else [watched, lock_fd],
            count=trainer.num_processes,
            distributed=trainer.deepspeed.stage > 0,
            stall_timeout_s=config.launcher.stall_timeout_s + waits,
            wait=config.stage.name not in LIGHT,
        )
    sys.stderr.write(ending.report)
    if ending.received is not None:
        raise ChildStopped(ending.received)
    if ending.cause is not None:
        note_failure(folder.path, ending.cause)
    return ending


def _threads(wanted: int | None, processes: int) -> dict[str, str]:
    """Return the threads of each process: by the config, else by the user's shell, else an equal part of the cores."""
    if wanted is None and os.environ.get("OMP_NUM_THREADS"):
        return {}
    return {"OMP_NUM_THREADS": str(wanted or max(1, len(os.sched_getaffinity(0)) // processes))}


def _names_the_hub(config: Config) -> bool:
    """Return whether a model or data set of this stage is no local file, so that the hub is asked for it."""
    tasks = [config.task, *(benchmark.task for benchmark in config.benchmark.values())]
    paths = [config.model.path if config.model else None, *(task.path for task in tasks if task is not None)]
    return any(path is not None and not Path(path).exists() for path in paths)
