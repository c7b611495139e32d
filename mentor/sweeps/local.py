"""Run the points of a sweep on this machine, several at once, each in a process that starts its stages."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import tempfile
import time
from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import IO

from mentor.config import Config, ScaledTrainer
from mentor.runs.launch import ChildStopped, say
from mentor.runs.launch_ranks import passing_on_signals
from mentor.runs.start import shared_fork_servers
from mentor.runs.watchdog import pipe_to_children
from mentor.sweeps.job import PointJob, PointResult

POLL_S = 0.05
LOG_NAME = "output.log"


@dataclass(frozen=True)
class Running:
    job: PointJob
    process: subprocess.Popen[bytes]
    outcome: Path
    slot: int


def run_points(jobs: Sequence[PointJob], at_once: int) -> Iterator[tuple[PointJob, PointResult]]:
    """Run the points and yield each with its result as it ends.

    With one at a time their output is shown here; several at once write it to `output.log` in their folders. Raises
    ChildStopped after a signal, which was passed on, once all running points have ended.
    """
    at_once = min(at_once, len(jobs))
    _announce(jobs, at_once)
    waiting, running = deque(jobs), list[Running]()
    with (
        shared_fork_servers(),
        pipe_to_children() as watched,
        tempfile.TemporaryDirectory(prefix="mentor-points-") as scratch,
        passing_on_signals() as (register, received),
    ):
        while running or (waiting and not received):
            while waiting and len(running) < at_once and not received:
                slot = min({*range(at_once)} - {entry.slot for entry in running})
                running.append(_start(waiting.popleft(), slot, at_once, Path(scratch), watched))
                register.append(running[-1].process)
                if received:  # while it was started
                    running[-1].process.send_signal(received[0])
            for entry in [entry for entry in running if entry.process.poll() is not None]:
                running.remove(entry)
                register.remove(entry.process)
                yield entry.job, _outcome(entry)
            time.sleep(POLL_S)
    if received:
        raise ChildStopped(received[0])


def _announce(jobs: Sequence[PointJob], at_once: int) -> None:
    steps = [step for job in jobs for step in job.steps]
    if at_once == 1 or not steps:
        return
    threads = share_threads(steps[0], at_once)
    cores = f"{threads} threads each" if threads else f"OMP_NUM_THREADS={os.environ['OMP_NUM_THREADS']} each"
    say(f"{len(jobs)} points, {at_once} at once with {cores}; their output: {jobs[0].sweep_folder}/*/{LOG_NAME}")


def share_threads(config: Config, at_once: int) -> int | None:
    """Return the CPU threads of one process of a point: launcher.threads, None if OMP_NUM_THREADS is set, else its part
    of the cores."""
    if config.launcher.threads is not None or os.environ.get("OMP_NUM_THREADS"):
        return config.launcher.threads
    processes = config.trainer.num_processes if isinstance(config.trainer, ScaledTrainer) else 1
    return max(1, len(os.sched_getaffinity(0)) // at_once // processes)


def share_gpus(gpus: Sequence[str], slot: int, at_once: int) -> Mapping[str, str]:
    """Return the variable that gives a point its GPUs; none if there are fewer GPUs than points, which share them."""
    each = len(gpus) // at_once
    return {"CUDA_VISIBLE_DEVICES": ",".join(gpus[slot * each : (slot + 1) * each])} if each and at_once > 1 else {}


def _gpus() -> list[str]:
    """Return the GPUs that this process may use, by their names in CUDA_VISIBLE_DEVICES."""
    given = os.environ.get("CUDA_VISIBLE_DEVICES")
    if given is not None:
        return [name for name in given.split(",") if name]
    found = [path.name for path in Path("/dev").glob("nvidia*") if re.fullmatch(r"nvidia\d+", path.name)]
    return [str(number) for number in range(len(found))]


def _start(job: PointJob, slot: int, at_once: int, scratch: Path, parent_fd: int) -> Running:
    shared = [
        replace(step, launcher=replace(step.launcher, threads=share_threads(step, at_once))) for step in job.steps
    ]
    (scratch / f"{job.hash}.json").write_text(replace(job, steps=shared).to_json())
    outcome = scratch / f"{job.hash}.outcome.json"
    command = [sys.executable, "-m", "mentor.sweeps.point", str(scratch / f"{job.hash}.json"), str(outcome)]
    output: IO[bytes] | None = None
    if at_once > 1:
        job.folder.mkdir(parents=True, exist_ok=True)
        output = (job.folder / LOG_NAME).open("ab")
    try:
        process = subprocess.Popen(
            [*command, "--parent-fd", str(parent_fd)],
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            env={**os.environ, **share_gpus(_gpus(), slot, at_once)},
            pass_fds=[parent_fd],
            process_group=0,
        )
    finally:
        if output is not None:
            output.close()
    return Running(job, process, outcome, slot)


def _outcome(entry: Running) -> PointResult:
    """Read the result that the point's process wrote, or make that of a process which was killed."""
    if entry.outcome.is_file():
        return PointResult(**json.loads(entry.outcome.read_text()))
    code = entry.process.returncode
    error = f"its process was ended by {signal.Signals(-code).name}" if code < 0 else f"its process ended with {code}"
    entry.job.note("failed", error=error)
    return PointResult(1, error=error)
