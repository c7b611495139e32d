"""The points of a sweep as jobs of a Slurm cluster, through submitit (the `slurm` extra).

A job that is preempted or near its time limit is queued again and resumes from its folder. All nodes must see the
folder of the run.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from mentor.config import Config, LauncherConfig
from mentor.errors import ConfigError, StageError
from mentor.runs import pipeline
from mentor.runs.launch import say
from mentor.runs.meeting import Failure, meet
from mentor.runs.seat import is_spread
from mentor.sweeps.job import PointJob, PointResult
from mentor.sweeps.point import run_point

LOGS = "submitit"
POLL_S = {"slurm": 10.0, "local": 0.5}


class Requeued:
    """The function of a job, called again with the same arguments after an interruption."""

    def __init__(self, function: Callable[..., Any]) -> None:
        self.function = function

    def __call__(self, *arguments: Any) -> Any:
        return self.function(*arguments)

    def checkpoint(self, *arguments: Any) -> Any:
        from submitit.helpers import DelayedSubmission

        return DelayedSubmission(self, *arguments)


def submit_points(jobs: Sequence[PointJob], launcher: LauncherConfig) -> Iterator[tuple[PointJob, PointResult]]:
    """Submit the points and yield each with its result as its job ends. The jobs continue if this process ends."""
    from submitit.helpers import as_completed

    executor = make_executor(jobs[0].sweep_folder / LOGS, launcher)
    submitted = executor.map_array(Requeued(do_point), jobs)
    say(f"{len(jobs)} points are jobs {', '.join(job.job_id for job in submitted)}; they continue if this command ends")
    by_id = {job.job_id: point for job, point in zip(submitted, jobs, strict=True)}
    for job in as_completed(submitted, poll_frequency=POLL_S[launcher.slurm.cluster]):
        error = job.exception()
        yield by_id[job.job_id], job.results()[0] if error is None else PointResult(1, error=_last_line(error))


def submit_shared(steps: Sequence[Config], root: Path, launcher: LauncherConfig) -> None:
    """Run the shared stages as one job and wait for it. Raises StageError if it failed."""
    executor = make_executor(root / LOGS, launcher)
    job = executor.submit(Requeued(do_steps), steps, root)
    say(f"the shared stages are made by job {job.job_id}")
    error = job.exception()
    if error is not None:
        raise StageError(f"the shared stages were not made: {_last_line(error)}; see {root / LOGS}")


def do_point(job: PointJob) -> PointResult:
    """Run a point as one task of its job; with several nodes each has one."""
    job = replace(job, steps=at_this_node(job.steps))
    with meet(job.steps) as meeting:
        outcome = run_point(job, meeting)
        if meeting is not None and outcome.code:
            meeting.fail(Failure(outcome.code, outcome.error, at=time.time()))
    return outcome


def do_steps(steps: Sequence[Config], root: Path) -> None:
    """Run the shared stages as one task of their job."""
    steps = at_this_node(steps)
    with meet(steps) as meeting:
        pipeline.run(steps, root, meeting=meeting)


def at_this_node(steps: Sequence[Config]) -> list[Config]:
    """Return the steps with the keys that say which node of the job this task is, where they are spread over nodes."""
    if not any(is_spread(step) for step in steps) or steps[0].launcher.slurm.nodes == 1:
        return list(steps)
    from submitit.helpers import TorchDistributedEnvironment

    found = TorchDistributedEnvironment()
    keys = {"node_rank": found.rank, "master_addr": found.master_addr, "master_port": found.master_port}
    return [replace(step, launcher=replace(step.launcher, **keys)) for step in steps]


def make_executor(folder: Path, launcher: LauncherConfig) -> Any:
    """Build the submitit executor; its scripts and the jobs' outputs go into `folder`."""
    try:
        import submitit
    except ImportError:
        raise ConfigError("launcher=slurm needs submitit: pip install 'mentor[slurm]'") from None
    slurm = launcher.slurm
    requeues = {"slurm_max_num_timeout": slurm.requeues} if slurm.cluster == "slurm" else {}
    several = {"nodes": slurm.nodes, "tasks_per_node": 1}
    if slurm.cluster == "local":  # this machine stands for all nodes
        several = {"nodes": 1, "tasks_per_node": slurm.nodes}
    executor = submitit.AutoExecutor(folder=str(folder.resolve()), cluster=slurm.cluster, **requeues)
    executor.update_parameters(
        name="mentor",
        timeout_min=slurm.time_min,
        **several,
        gpus_per_node=slurm.gpus,
        cpus_per_task=slurm.cpus,
        mem_gb=slurm.memory_gib,
        slurm_partition=slurm.partition,
        slurm_account=slurm.account,
        slurm_array_parallelism=launcher.jobs,
        slurm_setup=slurm.setup,
        slurm_additional_parameters=slurm.options,
    )
    return executor


def _last_line(error: BaseException) -> str:
    return ([line.strip() for line in str(error).splitlines() if line.strip()] or [type(error).__name__])[-1]
