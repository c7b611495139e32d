"""The process of one point of a sweep: `python -m mentor.sweeps.point job.json outcome.json --parent-fd ...`.

Does not use Hydra. It locks the point's folder, notes the point in the sweep's manifest, runs its stages as the command
runs a single stage, and ends with the exit codes of the command.
"""

from __future__ import annotations

import argparse
import json
import sys
import traceback
from collections.abc import Callable, Sequence
from dataclasses import asdict
from pathlib import Path

from mentor.errors import MentorError, RunFolderError, one_line
from mentor.lock import FolderLock
from mentor.runs import pipeline
from mentor.runs.launch import ChildFailed, ChildStopped, run_stage, say
from mentor.runs.meeting import Meeting
from mentor.runs.provenance import Headline
from mentor.runs.watchdog import exit_with_parent
from mentor.sweeps.job import PointJob, PointResult
from mentor.sweeps.manifest import read_manifest


def main(argv: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="mentor.sweeps.point", description="Do one point of a sweep")
    parser.add_argument("job", type=Path, help="the PointJob as JSON")
    parser.add_argument("outcome", type=Path, help="where to write the PointResult as JSON")
    parser.add_argument("--parent-fd", type=int, required=True, help="read end of a pipe that closes with the parent")
    arguments = parser.parse_args(argv)
    exit_with_parent(arguments.parent_fd)
    outcome = run_point(PointJob.from_json(arguments.job.read_text()))
    arguments.outcome.write_text(json.dumps(asdict(outcome)))
    return outcome.code


def run_point(job: PointJob, meeting: Meeting | None = None) -> PointResult:
    """Run the stages of a point that are not done. A point that another process holds is refused and not noted.

    meeting: with the other nodes of the point, of which the first holds its folder.
    """
    if meeting is not None and not meeting.is_first:
        return _take_part(job, meeting)
    try:
        with FolderLock(job.folder) as lock:
            outcome = _run_held(job, meeting)
            if outcome.code == 2 and lock.created and not any(job.folder.glob("*/")):
                lock.remove()  # bad input, found before anything was made
            return outcome
    except RunFolderError as error:
        say(str(error))
        return PointResult(error.exit_code, error=str(error))


def _take_part(job: PointJob, meeting: Meeting) -> PointResult:
    """Run this node's ranks of the point; the first node notes the result."""
    try:
        return PointResult(0, _run(job, lambda: None, meeting))
    except (Exception, ChildStopped) as error:
        return PointResult(_report(error), error=one_line(error))


def _run_held(job: PointJob, meeting: Meeting | None) -> PointResult:
    started = False

    def on_start() -> None:
        nonlocal started
        if not started:
            job.note("running")
        started = True

    try:
        job.link_shared()
        headline = _run(job, on_start, meeting)
    except (Exception, ChildStopped) as error:
        job.note("failed", error=one_line(error))
        return PointResult(_report(error), error=one_line(error))
    known = read_manifest(job.sweep_folder).get(job.hash)
    if started or known is None or known.status != "done":
        job.note("done", headline=headline)
    return PointResult(0, headline, ran=started)


def _run(job: PointJob, on_start: Callable[[], None], meeting: Meeting | None) -> Headline | None:
    if job.pipeline:
        return pipeline.run(job.steps, job.folder, on_start, meeting)
    return run_stage(job.steps[0], job.root, job.folder, on_start, meeting)


def _report(error: BaseException) -> int:
    """Print an error that no child has reported; returns the exit code."""
    if isinstance(error, ChildFailed | ChildStopped):
        return error.exit_code
    if isinstance(error, MentorError):
        say(one_line(error))
        return error.exit_code
    traceback.print_exception(error)
    return 1


if __name__ == "__main__":
    sys.exit(main())
