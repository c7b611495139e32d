"""The process that does one stage: `python -m mentor.child --folder ... --root ...`.

Knows no Hydra: it reads the config.yaml its parent resolved and checked. It writes summary.json (running, then done or
failed), closes the logger in every case, and ends with 0, with the exit code of a MentorError, with 1 after any other
exception (traceback shown), or with 130 or 143 when SIGINT or SIGTERM stopped it. It does not outlive its parent.
"""

from __future__ import annotations

import argparse
import os
import signal
import sys
import threading
import time
import traceback
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import FrameType
from typing import Any

from mentor.config import Config, load
from mentor.errors import MentorError, RunFolderError, StorageError
from mentor.loggers import Logger, build_logger
from mentor.runs.folder import RunFolder, stored_config
from mentor.runs.identity import config_hash, identity
from mentor.runs.lock import sign
from mentor.runs.provenance import SUMMARY_NAME, new_summary, write_summary
from mentor.runs.storage import storage_error
from mentor.stages import StageResult, stage_function


class Stopped(KeyboardInterrupt):
    """A signal ended the stage; what it had written is whole."""

    def __init__(self, signum: int) -> None:
        self.signum = signum
        super().__init__(f"stopped by {signal.Signals(signum).name}; the same command goes on where it was")


METRIC_STAGES = ("rollout", "pretrain", "sft", "rl")
"""Stages with a metrics.jsonl; what the others measure is in their summaries and tables."""


def main(argv: Sequence[str] | None = None) -> int:
    arguments = _parse(argv)
    if arguments.lock_fd is not None:
        sign(arguments.lock_fd)
        os.set_inheritable(arguments.lock_fd, False)  # workers of this process do not hold the folder
    if arguments.parent_fd is not None:
        _end_with_parent(arguments.parent_fd)
    signal.signal(signal.SIGTERM, _interrupt)
    signal.signal(signal.SIGINT, _interrupt)
    try:
        return _do_stage(arguments)
    except (MentorError, Stopped) as error:  # before the stage had a summary to note it in
        return _exit_code(error)


def _do_stage(arguments: argparse.Namespace) -> int:
    values = stored_config(arguments.folder)
    if values is None:
        raise RunFolderError(f"{arguments.folder} has no config.yaml")
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
    except BaseException as error:
        error = storage_error(error, folder.path) or error
        summary.update(status="failed", ended=time.time(), error=_one_line(error))
        _note_failure(folder.path, summary, error)
        return _exit_code(error)
    return 0


def _parse(argv: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="mentor.child", description="Do one stage; started by `mentor`.")
    parser.add_argument("--folder", type=Path, required=True, help="the stage's own folder, with its config.yaml")
    parser.add_argument("--root", type=Path, required=True, help="where the run's other stages are")
    parser.add_argument("--resumed", action="store_true", help="the folder holds earlier work of this config")
    parser.add_argument("--lock-fd", type=int, help="inherited descriptor of the folder's lock")
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
    return build_logger(config.logger, own_folder, folder.path.name, config.run, values)


def _exit_code(error: BaseException) -> int:
    """Says what happened on stderr and gives the exit code for it."""
    if isinstance(error, MentorError):
        sys.stderr.write(f"mentor: {_one_line(error)}\n")
        return error.exit_code
    if isinstance(error, Stopped):
        sys.stderr.write(f"mentor: {_one_line(error)}\n")
        return 128 + error.signum
    traceback.print_exception(error)
    return 1


def _one_line(error: BaseException) -> str:
    return " ".join(str(error).split()) or type(error).__name__


def _seconds(result: StageResult, started: float) -> dict[str, float]:
    phases = {name: round(seconds, 3) for name, seconds in result.seconds.items()}
    return {**phases, "total": round(time.time() - started, 3)}


def _interrupt(signum: int, frame: FrameType | None) -> None:
    raise Stopped(signum)


def _end_with_parent(fd: int) -> None:
    """Stop as by SIGTERM when the parent is gone, however it ended: nobody would be left to wait for this process."""
    os.set_inheritable(fd, False)

    def watch() -> None:
        os.read(fd, 1)  # nothing is ever written: it returns when the parent's end is closed
        os.kill(os.getpid(), signal.SIGTERM)

    threading.Thread(target=watch, name="parent", daemon=True).start()


def _note_failure(folder: Path, summary: Mapping[str, Any], error: BaseException) -> None:
    """Write the summary of a failed stage. A storage that failed may not take that either, which its error covers."""
    try:
        write_summary(folder, summary)
    except OSError as second:
        if not isinstance(error, StorageError):
            sys.stderr.write(f"mentor: {folder / SUMMARY_NAME} was not written: {second.strerror}\n")


if __name__ == "__main__":
    sys.exit(main())
