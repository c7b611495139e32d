"""The points of a sweep as jobs of a Slurm cluster, through submitit (the `slurm` extra).

A job that is preempted or near its time limit is queued again and resumes from its folder. All nodes must see the
folder of the run.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

from mentor.config import Config, LauncherConfig
from mentor.errors import ConfigError, StageError
from mentor.runs import pipeline
from mentor.runs.launch import say
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
    submitted = executor.map_array(Requeued(run_point), jobs)
    say(f"{len(jobs)} points are jobs {', '.join(job.job_id for job in submitted)}; they continue if this command ends")
    by_id = {job.job_id: point for job, point in zip(submitted, jobs, strict=True)}
    for job in as_completed(submitted, poll_frequency=POLL_S[launcher.slurm.cluster]):
        error = job.exception()
        yield by_id[job.job_id], job.result() if error is None else PointResult(1, error=_last_line(error))


def submit_shared(steps: Sequence[Config], root: Path, launcher: LauncherConfig) -> None:
    """Run the shared stages as one job and wait for it. Raises StageError if it failed."""
    executor = make_executor(root / LOGS, launcher)
    job = executor.submit(Requeued(pipeline.run), steps, root)
    say(f"the shared stages are made by job {job.job_id}")
    error = job.exception()
    if error is not None:
        raise StageError(f"the shared stages were not made: {_last_line(error)}; see {root / LOGS}")


def make_executor(folder: Path, launcher: LauncherConfig) -> Any:
    """Build the submitit executor; its scripts and the jobs' outputs go into `folder`."""
    try:
        import submitit
    except ImportError:
        raise ConfigError("launcher=slurm needs submitit: pip install 'mentor[slurm]'") from None
    slurm = launcher.slurm
    requeues = {"slurm_max_num_timeout": slurm.requeues} if slurm.cluster == "slurm" else {}
    executor = submitit.AutoExecutor(folder=str(folder.resolve()), cluster=slurm.cluster, **requeues)
    executor.update_parameters(
        name="mentor",
        timeout_min=slurm.time_min,
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
