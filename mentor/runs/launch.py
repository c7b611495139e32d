"""Run one stage from its parent: preflight, lock, claim the folder, start a child, wait, read its summary.

A single stage, a step of a pipeline and a point of a sweep all run through here.
"""

from __future__ import annotations

import signal
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from uuid import uuid4

from mentor.config import Config, ScaledTrainer, dump
from mentor.errors import MentorError, RunFolderError
from mentor.lock import FolderLock
from mentor.runs.folder import FOLDERLESS, RunFolder, claim, settle, stage_folder, write_config
from mentor.runs.launch_ranks import Ending, be_rank, run_ranks
from mentor.runs.meeting import EndedElsewhere, Meeting
from mentor.runs.preflight import preflight
from mentor.runs.process_environment import process_environment
from mentor.runs.provenance import Headline, headline, note_failure, read_summary
from mentor.runs.seat import is_spread, scaled_trainer
from mentor.runs.watchdog import pipe_to_children

REMADE = ("eval", "report")
"""Stages whose folder takes any config: eval compares configs per evaluation, a report is always made anew."""
SHARED_S = 90.0  # for a file of the first node to be seen on the others, whose NFS remembers folders for a minute
LOGS = "logs"
MARK = ".nodes-{}.partial"  # not a file of the stage, as one that is being written
INTERACTIVE = ("chat",)
"""Stages that read what is typed."""
UNTIL_STOPPED = ("serve",)
"""Stages that a signal ends as it should."""
LIGHT = ("rollout", "score", "report", "push")
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
    config: Config,
    root: Path,
    own_root: Path | None = None,
    on_start: Callable[[], None] = lambda: None,
    meeting: Meeting | None = None,
) -> Headline | None:
    """Run one stage and return its headline (None if it has none). A stage that is done is not run again.

    root: folder of the earlier stages. own_root: where the folder of this stage is made; root if None.
    on_start: called just before the child starts. meeting: with the processes of the same command on other machines,
    which take part in a stage that is spread over nodes, and wait while the first runs another.
    """
    if meeting is None:
        return _run_held(config, root, own_root, on_start, None)
    meeting.begin(dump(config))
    if not meeting.is_first:
        return _take_part(config, root, own_root, on_start, meeting)
    meeting.report(f"start of stage={config.stage.name}")
    all_take_part = meeting.seat.is_rank or is_spread(config)
    found = _run_held(config, root, own_root, on_start, meeting if all_take_part else None)
    meeting.done(found)
    return found


def _run_held(
    config: Config, root: Path, own_root: Path | None, on_start: Callable[[], None], meeting: Meeting | None
) -> Headline | None:
    """Run a stage as the process that holds its folder. meeting: of the others that take part in it."""
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
        with _shown_to_others(folder.path, resumed, meeting):
            ending = _run_child(config, RunFolder(folder.path, root, resumed), lock.fd, meeting)
        left = read_summary(folder.path)
        if ending.code == 2 and lock.created:
            lock.remove()
        else:
            settle(folder.path, restore=ending.code == 2)
        _raise_failed(config, ending, left)
        return headline(read_summary(folder.path))


@contextmanager
def _shown_to_others(folder: Path, resumed: bool, meeting: Meeting | None) -> Iterator[None]:
    """Start the stage on the other nodes. A file in its folder shows them that they see the same one."""
    if meeting is None:
        yield
        return
    for left in folder.glob(MARK.format("*")):  # by a process that was killed
        left.unlink()
    mark = folder / MARK.format(uuid4().hex)
    mark.touch()
    try:
        meeting.start({"resumed": resumed, "mark": mark.name})
        yield
    finally:
        mark.unlink(missing_ok=True)


def _take_part(
    config: Config, root: Path, own_root: Path | None, on_start: Callable[[], None], meeting: Meeting
) -> Headline | None:
    """Run this node's ranks of a stage whose folder the first node holds, or wait for a stage that is not spread."""
    meeting.report("waiting for the first node")
    how = meeting.hear_start()
    if how is not None:
        folder = RunFolder((own_root or root) / stage_folder(config), root, how["resumed"])
        deadline = time.monotonic() + SHARED_S
        while not (folder.path / how["mark"]).exists():
            meeting.check()
            if time.monotonic() > deadline:
                raise RunFolderError(
                    f"{folder.path.absolute()} is not the folder that the first node has under this name; accepted: "
                    "paths.outputs=<a folder that all nodes see>"
                )
            time.sleep(1.0)
        on_start()
        ending = _run_child(config, folder, None, meeting)
        _raise_failed(config, ending, None)
    result: Headline | None = meeting.hear_result()
    return result


def say(text: str) -> None:
    """Print one line on stderr."""
    sys.stderr.write(f"mentor: {text}\n")
    sys.stderr.flush()


def _run_folderless(config: Config, root: Path) -> Headline | None:
    """Run a stage without a folder: its config and summary are in a temporary one."""
    with tempfile.TemporaryDirectory(prefix=f"mentor-{config.stage.name}-") as temporary:
        folder = RunFolder(Path(temporary), root)
        write_config(folder.path, dump(config))
        ending = _run_child(config, folder, None, None)
        _raise_failed(config, ending, read_summary(folder.path))
        return headline(read_summary(folder.path))


def _raise_failed(config: Config, ending: Ending, summary: Mapping[str, Any] | None) -> None:
    """Raise the error of a child that failed. summary: the one that the child wrote."""
    stage, again = f"stage={config.stage.name}", "running it again resumes it"
    if ending.code < 0:
        raise MentorError(f"{stage} was ended by {signal.Signals(-ending.code).name}; {again}")
    if ending.cause is not None and ending.code == 2:
        raise EndedElsewhere(f"{stage}: {ending.cause}", 2)
    if ending.cause is not None:
        raise MentorError(f"{stage}: {ending.cause}; {again}")
    if ending.code:
        raise ChildFailed(
            f"{stage} failed: {(summary or {}).get('error') or 'no reason was recorded'}", 2 if ending.code == 2 else 1
        )


def _run_child(config: Config, folder: RunFolder, lock_fd: int | None, meeting: Meeting | None) -> Ending:
    """Run the stage in new processes (one, or as many ranks as its trainer asks for) and wait for them; in this process
    where a launcher has made it a rank.

    Raises ChildStopped after a signal, which was passed on to them.
    """
    arguments = ["--folder", str(folder.path), "--root", str(folder.root)]
    arguments += ["--resumed"] if folder.resumed else []
    arguments += ["--lock-fd", str(lock_fd)] if lock_fd is not None else []
    trainer, environment = scaled_trainer(config) or ScaledTrainer(), process_environment(config)
    waits = config.tools.timeout_s if config.tools is not None else 0.0  # a rank may wait this long for a tool
    limit = config.launcher.stall_timeout_s + waits
    holds = meeting is None or meeting.is_first

    def tell(ending: Ending) -> None:
        sys.stderr.write(ending.report)
        if ending.cause is not None and holds:
            note_failure(folder.path, ending.cause)

    def tell_all(ending: Ending) -> None:
        tell(ending)
        say(f"stage={config.stage.name}: {ending.cause}")

    if meeting is not None and meeting.seat.is_rank:
        ending = be_rank(
            "mentor.child",
            arguments,
            environment,
            local_size=trainer.num_processes,
            stall_timeout_s=limit,
            meeting=meeting,
            on_stuck=tell_all,
        )
    else:
        if meeting is not None and not meeting.is_first:
            log = folder.path / LOGS / f"node-{meeting.seat.index}.log"
            say(f"{meeting.name} takes part in stage={config.stage.name}; what its ranks say: {log}")
            arguments += ["--log", str(log)]
        with pipe_to_children() as watched:
            ending = run_ranks(
                "mentor.child",
                [*arguments, "--parent-fd", str(watched)],
                environment,
                [watched] if lock_fd is None else [watched, lock_fd],
                count=trainer.num_processes,
                distributed=trainer.distributed,
                stall_timeout_s=limit,
                wait=config.stage.name not in LIGHT,
                interactive=config.stage.name in INTERACTIVE,
                meeting=meeting,
            )
    if ending.received is not None and not (config.stage.name in UNTIL_STOPPED and ending.code == 0):
        sys.stderr.write(ending.report)
        raise ChildStopped(ending.received)
    tell(ending)
    return ending
