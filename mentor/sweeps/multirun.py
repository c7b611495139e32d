"""Compose the points of one `mentor -m`, run them in batches, and return their results to Hydra's sweeper.

The sweeper (the grid of the command line, Optuna, ...) chooses the points. A batch is what it asks for at once: all
points of a grid, a few of an optimiser.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from hydra.core.hydra_config import HydraConfig
from hydra.core.override_parser.types import Override, QuotedString
from hydra.core.utils import JobReturn, JobStatus
from omegaconf import DictConfig

from mentor.compose import compose_stage
from mentor.errors import ConfigError, MentorError, one_line
from mentor.readers import Verdicts, merge, refuse
from mentor.runs import pipeline
from mentor.runs.identity import config_hash
from mentor.runs.launch import ChildFailed, say
from mentor.runs.outside import launched
from mentor.runs.seat import scaled_trainer
from mentor.sweeps.job import PointJob, PointResult, point_job
from mentor.sweeps.local import run_points
from mentor.sweeps.manifest import ManifestEntry, record
from mentor.sweeps.names import SWEEPS, point_name
from mentor.sweeps.shared_stages import find_shared, without_shared
from mentor.sweeps.slurm import submit_points, submit_shared


class PointFailed(ChildFailed):
    """The result of a failed point, for a sweeper; the point has reported why."""


class Multirun:
    """The points of one command. fixed: keys with one value in all points; a point is named by its other keys."""

    def __init__(self, fixed: set[str]) -> None:
        self.fixed = fixed
        self.points: dict[str, int] = {}  # exit codes by name
        self.verdicts: list[Verdicts] = []  # of the points that were composed: which keys each reads
        self.sweep_folder: Path | None = None

    def compose(self, cfg: DictConfig, overrides: Sequence[Override]) -> PointJob:
        """Compose one point. Raises MentorError if it is invalid, after noting it in the manifest."""
        settings = HydraConfig.get()
        sweep_id = Path(settings.sweep.dir).name
        name = point_name(settings.job.override_dirname, settings.job.num)
        varied = {str(entry.key_or_group): _plain(entry) for entry in overrides if entry.key_or_group not in self.fixed}
        self.sweep_folder = Path(cfg.paths.outputs) / cfg.run / SWEEPS / sweep_id
        all_at_once = _is_basic(settings) and settings.sweeper.get("max_batch_size") is None
        varied_groups = frozenset[str]() if all_at_once else frozenset(key.split(".")[0] for key in varied)
        try:
            composed = compose_stage(cfg, overrides, sweep=True, varied=varied_groups)
        except MentorError as error:
            say(f"point {name}: {one_line(error)}")
            hashed = config_hash({"point": name, "overrides": varied})
            record(self.sweep_folder, ManifestEntry(hashed, name, varied, "failed", error=str(error)))
            self.points[name] = error.exit_code
            raise
        self.verdicts.append(composed.verdicts)
        return point_job(sweep_id, name, varied, composed.config, composed.steps)

    def do(self, returns: Sequence[JobReturn]) -> None:
        """Run the points of one batch; each `returns` gets the headline number of its point.

        A failed point does not stop the others: it returns None to the basic sweeper, and the exception to any other,
        which may handle it. Raises ConfigError for a key that no point reads, and PointFailed when all
        points have failed so far and the sweeper is the basic one.
        """
        if len(self.verdicts) == len(returns):  # all points of the first batch could be composed
            refuse(merge(self.verdicts))
        jobs = {job.hash: job for job in (entry._return_value for entry in returns) if isinstance(job, PointJob)}
        basic = _is_basic(returns[0].hydra_cfg.hydra)  # type: ignore[union-attr]
        for hashed, value in self._results(list(jobs.values()), needed=not basic).items():
            for entry in returns:
                if isinstance(entry._return_value, PointJob) and entry._return_value.hash == hashed:
                    _set(entry, value)
        for entry in returns:
            error = entry._return_value
            if isinstance(error, Exception) and not isinstance(error, MentorError):
                raise error
            if isinstance(error, MentorError) and basic:
                _set(entry, None)
        if basic and all(self.points.values()):
            raise PointFailed("all points failed", min(self.points.values()))

    def raise_failures(self) -> None:
        """Raise ChildFailed if points failed: exit code 2 if all failed from bad input, else 1."""
        failed = {name: code for name, code in self.points.items() if code}
        if failed:
            how_many = "all" if len(failed) == len(self.points) else f"{len(failed)} of"
            say(f"{how_many} {len(self.points)} points failed: {', '.join(failed)}")
            raise ChildFailed("points failed", min(failed.values()))

    def keep_results(self, scratch: Path) -> None:
        """Copy what the sweeper wrote (Optuna's optimization_results.yaml) beside the points."""
        for path in sorted(scratch.glob("*.yaml")):
            if path.name != "multirun.yaml" and self.sweep_folder is not None:
                shutil.copy(path, self.sweep_folder / path.name)
                say(f"the sweeper wrote {self.sweep_folder / path.name}")

    def _results(self, jobs: list[PointJob], needed: bool) -> dict[str, float | None | MentorError]:
        """Run the points; returns headline numbers, or errors, by hash. needed: no number counts as a failure."""
        results: dict[str, float | None | MentorError] = {}
        for job, outcome in _do(jobs):
            self.points[job.name] = outcome.code
            results[job.hash] = outcome.headline and outcome.headline["value"]
            if outcome.code:
                results[job.hash] = PointFailed(f"{job.name}: {outcome.error}", outcome.code)
            elif needed and outcome.headline is None:
                self.points[job.name] = 1
                results[job.hash] = PointFailed(f"{job.name} has no number", 1)
                say(f"point {job.name} has no headline number, and the sweeper has nothing to compare")
            say(f"point {job.name}: {_ended(outcome)} ({len(results)} of {len(jobs)})")
        return results


def _is_basic(hydra: Any) -> bool:
    """Whether the sweeper is that of the command line's grid, which asks for all points at once."""
    return bool(hydra.runtime.choices["hydra/sweeper"] == "basic")


def _do(jobs: list[PointJob]) -> Iterator[tuple[PointJob, PointResult]]:
    """Make the shared stages, then run the points with the launcher."""
    if not jobs:
        return
    launcher = jobs[0].steps[0].launcher
    _refuse_nodes(jobs, launcher.name)
    shared = find_shared(jobs)
    for stage in sorted(shared.differing):
        say(f"stage={stage} differs between the points, or from what the run holds: each makes its own")
    for root in sorted({path.parent for path in shared.steps}):
        steps = [step for path, step in shared.steps.items() if path.parent == root]
        if launcher.name == "slurm":
            submit_shared(steps, root, launcher)
        else:
            pipeline.run(steps, root)
    jobs = [without_shared(job, shared) for job in jobs]
    yield from submit_points(jobs, launcher) if launcher.name == "slurm" else run_points(jobs, launcher.jobs)


def _refuse_nodes(jobs: list[PointJob], launcher: str) -> None:
    """Raise ConfigError where the points or this command would need several machines, and no cluster starts them."""
    outside = launched(os.environ)
    if outside is not None:
        raise ConfigError(
            f"{outside.by} started {outside.size} processes, and one starts the points of -m; accepted: one"
        )
    for trainer in filter(None, (scaled_trainer(step) for job in jobs for step in job.steps)):
        if launcher != "slurm" and trainer.nodes > 1:
            raise ConfigError(
                f"`trainer.nodes={trainer.nodes}` with -m needs a cluster that starts the nodes of each point; "
                f"accepted: launcher=slurm launcher.slurm.nodes={trainer.nodes}"
            )


def _ended(outcome: PointResult) -> str:
    if outcome.code:
        return f"failed: {outcome.error}"
    done = "done" if outcome.ran else "done already"
    return f"{done}, {outcome.headline['name']} {outcome.headline['value']:.4g}" if outcome.headline else done


def _set(entry: JobReturn, value: float | None | MentorError) -> None:
    entry.return_value = value
    entry.status = JobStatus.FAILED if isinstance(value, MentorError) else JobStatus.COMPLETED


def _plain(override: Override) -> Any:
    """Return the value of an override: a number, text, true, false or null; anything else as it is written."""
    value = override.value()
    if isinstance(value, QuotedString):
        return value.text
    return (
        value if value is None or isinstance(value, bool | int | float | str) else override.get_value_element_as_str()
    )
