"""The process that does one stage: `python -m mentor.child --folder ... --root ...`, new or forked.

Knows no Hydra: it reads the config.yaml its parent resolved and checked. It writes summary.json (running, then done or
failed), closes the logger in every case, and ends with 0, with the exit code of a MentorError, with 1 after any other
exception (traceback shown), or with 130 or 143 when SIGINT or SIGTERM stopped it. It does not outlive its parent.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import signal
import sys
import time
import traceback
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import FrameType
from typing import Any

from mentor.config import Config, load
from mentor.errors import MentorError, RunFolderError, StorageError, one_line
from mentor.lock import sign
from mentor.loggers import Logger, build_logger, silent_logger
from mentor.progress import STORE
from mentor.runs.folder import RunFolder, stored_config
from mentor.runs.identity import config_hash, identity
from mentor.runs.leave import leave
from mentor.runs.provenance import SUMMARY_NAME, new_summary, write_summary
from mentor.runs.status import StatusWriter
from mentor.runs.storage import storage_error
from mentor.runs.watchdog import exit_with_parent
from mentor.stages import StageResult, stage_function
from mentor.sweeps.names import tracker_names


class Stopped(KeyboardInterrupt):
    """A signal stopped the stage; the records that it had written are complete."""

    def __init__(self, signum: int) -> None:
        self.signum = signum
        super().__init__(f"stopped by {signal.Signals(signum).name}; run the same command again to resume")


TRAINING_STAGES = ("pretrain", "sft", "rl")
METRIC_STAGES = ("rollout", "pretrain", "sft", "rl")
"""Stages that write metrics.jsonl; the others put their numbers into summaries and tables."""


def main(argv: Sequence[str] | None = None) -> int:
    arguments = _parse(argv)
    if arguments.log is not None:
        _write_to(arguments.log)
    status = StatusWriter.of_this_process()
    if arguments.lock_fd is not None:
        if _is_main():
            sign(arguments.lock_fd)
        os.set_inheritable(arguments.lock_fd, False)  # so that workers of this process do not keep the lock
    if arguments.parent_fd is not None:
        exit_with_parent(arguments.parent_fd)
    signal.signal(signal.SIGUSR2, signal.SIG_IGN)  # Slurm warns every process of a job; submitit's process answers
    signal.signal(signal.SIGTERM, _interrupt)
    signal.signal(signal.SIGINT, _interrupt)
    try:
        error = _do_stage(arguments) if _is_main() else _help_with_stage(arguments)
    except (MentorError, Stopped) as early:  # before the stage had a summary to note it in
        error = early
    if error is None:
        return 0
    report, code = _report(error)
    if status is None:
        sys.stderr.write(report)
    else:
        status.failed(report)
    return code


def _write_to(log: Path) -> None:
    """Append all output of this process to a file."""
    log.parent.mkdir(exist_ok=True)
    fd = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
    for stream in (sys.stdout, sys.stderr):
        stream.flush()
        os.dup2(fd, stream.fileno())
    os.close(fd)


def _is_main() -> bool:
    """Return whether this process writes the stage's files: rank 0 does."""
    return STORE not in os.environ or os.environ["RANK"] == "0"


def _help_with_stage(arguments: argparse.Namespace) -> BaseException | None:
    """Run the stage in a rank other than 0, which writes no files of the stage. Returns the error that ended it."""
    config = load(_stored(arguments.folder))
    folder = RunFolder(arguments.folder, arguments.root, arguments.resumed)
    try:
        stage_function(config.stage.name)(config, folder, silent_logger())
    except BaseException as error:
        return storage_error(error, arguments.folder) or error
    return None


def _stored(folder: Path) -> dict[str, Any]:
    values = stored_config(folder)
    if values is None:
        raise RunFolderError(f"{folder} has no config.yaml")
    return values


def _do_stage(arguments: argparse.Namespace) -> BaseException | None:
    """Run the stage and write its summary. Returns the error that ended it early, which the summary notes."""
    values = _stored(arguments.folder)
    config = load(values)
    folder = RunFolder(arguments.folder, arguments.root, arguments.resumed)
    summary = new_summary(config.stage.name, config.seed, config_hash(identity(values)))
    try:
        write_summary(folder.path, summary)
        result = _run_logged(config, folder, values)
        summary.update(status="done", ended=time.time(), counts=result.counts)
        summary["seconds"] = _seconds(result, summary["started"])
        if result.headline is not None:
            summary["headline"] = {"name": result.headline[0], "value": result.headline[1]}
        write_summary(folder.path, summary)
        if config.stage.name in TRAINING_STAGES:
            from mentor.cards import write_cards

            write_cards(folder.path / "model")
    except BaseException as error:
        error = storage_error(error, folder.path) or error
        summary.update(status="failed", ended=time.time(), error=one_line(error))
        _note_failure(folder.path, summary, error)
        return error
    return None


def _parse(argv: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="mentor.child", description="Do one stage; started by `mentor`.")
    parser.add_argument("--folder", type=Path, required=True, help="the stage's own folder, with its config.yaml")
    parser.add_argument("--root", type=Path, required=True, help="where the run's other stages are")
    parser.add_argument("--resumed", action="store_true", help="the folder holds earlier work of this config")
    parser.add_argument("--lock-fd", type=int, help="inherited descriptor of the folder's lock")
    parser.add_argument("--log", type=Path, help="where this process writes its output, on nodes other than the first")
    parser.add_argument("--parent-fd", type=int, help="read end of a pipe whose other end closes with the parent")
    return parser.parse_args(argv)


def _run_logged(config: Config, folder: RunFolder, values: dict[str, Any]) -> StageResult:
    logger = _logger(config, folder, values)
    failed = True
    try:
        result = stage_function(config.stage.name)(config, folder, logger)
        failed = False
    finally:
        logger.close(failed)
    return result


def _logger(config: Config, folder: RunFolder, values: dict[str, Any]) -> Logger:
    own_folder = folder.path if config.stage.name in METRIC_STAGES else None
    name, group = tracker_names(folder.path, config.run)
    return build_logger(config.logger, own_folder, name, group, values)


def _report(error: BaseException) -> tuple[str, int]:
    """Return the text for stderr and the exit code."""
    if isinstance(error, MentorError):
        return f"mentor: {one_line(error)}\n", error.exit_code
    if isinstance(error, Stopped):
        return f"mentor: {one_line(error)}\n", 128 + error.signum
    return "".join(traceback.format_exception(error)), 1


def _seconds(result: StageResult, started: float) -> dict[str, float]:
    phases = {name: round(seconds, 3) for name, seconds in result.seconds.items()}
    return {**phases, "total": round(time.time() - started, 3)}


def _interrupt(signum: int, frame: FrameType | None) -> None:
    """Stop a running event loop between two callbacks, where no wake-up of a task is lost. A second signal stops at
    once."""
    signal.signal(signum, _interrupt_now)
    try:
        loop = asyncio.get_running_loop()
    except RuntimeError:  # none runs
        _interrupt_now(signum, frame)
    else:
        loop.call_soon_threadsafe(_interrupt_now, signum, None)


def _interrupt_now(signum: int, frame: FrameType | None) -> None:
    raise Stopped(signum)


def _note_failure(folder: Path, summary: Mapping[str, Any], error: BaseException) -> None:
    """Write the summary of a failed stage. If the storage failed, this may fail too, unreported."""
    try:
        write_summary(folder, summary)
    except OSError as second:
        if not isinstance(error, StorageError):
            sys.stderr.write(f"mentor: {folder / SUMMARY_NAME} was not written: {second.strerror}\n")


if __name__ == "__main__":
    leave(main())
