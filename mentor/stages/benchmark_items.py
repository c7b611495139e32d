"""The items of an evaluation: what is asked of the student, its trajectories with their verdicts, and where it stopped.

`stage=eval` and the evaluations of training share this. A trajectory is stored once it is judged, so an evaluation that
was broken off goes on behind the last stored one.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import nullcontext
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

from mentor.config import EvalStage, SamplerConfig
from mentor.environment import Environment, RolloutRequest, derive_seed
from mentor.errors import GraderError
from mentor.evaluation.graders import TrajectoryGrader
from mentor.files import write_file
from mentor.jsonl import read_jsonl, to_line
from mentor.loggers import Logger
from mentor.policy.ranks import Ranks
from mentor.rl.rollouts import contiguous_parts
from mentor.trajectories.store import TrajectoryWriter
from mentor.types import NO_TOOLS, Task, Trajectory

Item = dict[str, Any]

GRADED_AT_ONCE = 16  # trajectories; a grader may wait for another process, or for an endpoint
MAX_UNGRADED = 0.05  # share of answers the grader may fail on before the stage stops


def requests(tasks: Sequence[Task], stage: EvalStage, sampling: SamplerConfig, seed: int) -> list[RolloutRequest]:
    """Build one greedy request per task if asked for, then `samples` sampled ones, each with its own seed.

    First those with tools, then those without, as far as `stage.with_tools` asks for either.
    """
    wanted: list[RolloutRequest] = []
    for with_tools in stage.with_tools:
        offered = tasks if with_tools else [replace(task, tools=NO_TOOLS) for task in tasks]
        if stage.greedy:
            wanted += [RolloutRequest(task, seed=0, temperature=0.0) for task in offered]
        for sample in range(stage.samples):
            for task in offered:
                own = derive_seed(seed, task.id, sample)
                wanted.append(RolloutRequest(task, own, None, sampling.temperature, sampling.top_p, sampling.top_k))
    return wanted


def stored_items(
    wanted: Sequence[RolloutRequest],
    path: Path,
    environment: Environment,
    max_running: int,
    logger: Logger,
    ranks: Ranks,
    step: int | None = None,
) -> list[Item]:
    """Read which of the requests the file of items at `path` answers, on every rank. The arguments are `answer`'s.

    With lockstep turns a batch decides the last bits of its logits, so items of an unfinished batch are deleted, to be
    sampled again.
    """
    at_once = max_running * sum(ranks.all_gather(len(environment.sampler.engines)))
    if not ranks.is_main or not path.is_file():
        return list(ranks.all_gather([])[0])
    records = [*read_jsonl(path, logger.message)]
    own = [record for record in records if step is None or record["step"] == step]
    surplus = len(own) % at_once if environment.lockstep and len(own) < len(wanted) else 0
    if surplus:
        write_file(path, map(to_line, records[:-surplus]))
    return list(ranks.all_gather(own[: len(own) - surplus])[0])


def answer(
    wanted: Sequence[RolloutRequest],
    items: list[Item],
    path: Path,
    environment: Environment,
    grader: TrajectoryGrader,
    max_running: int,
    logger: Logger,
    ranks: Ranks,
    advance: Callable[[int, float], None] = lambda done, accuracy: None,
    step: int | None = None,
) -> list[Item]:
    """Sample and grade the requests beyond those that `items` answers; return the items of all, in their order.

    Every rank takes its part, and rank 0 stores at `path`. max_running: trajectories of one rollout engine at a time.
    advance: is told after each batch how many it was, and the share of correct ones so far. step: of the training,
    which the stored records begin with.
    """
    mark = {} if step is None else {"step": step}
    shares = ranks.all_gather(len(environment.sampler.engines))
    at_once, left = max_running * sum(shares), wanted[len(items) :]
    with (
        TrajectoryWriter(path, logger.message) if ranks.is_main else nullcontext() as store,
        ThreadPoolExecutor(GRADED_AT_ONCE) as threads,
    ):
        for start in range(0, len(left), at_once):
            part = left[start : start + at_once]
            own = [part[index] for index in contiguous_parts([1] * len(part), shares)[ranks.rank]]
            trajectories = environment.rollout(own) if own else []
            judged_here = [*threads.map(partial(judged, grader=grader), trajectories, own)]
            for item in (item for judged_there in ranks.all_gather(judged_here) for item in judged_there):
                if store is not None:
                    store.write({**mark, **item})
                items.append(item)
            advance(len(part), sum(item["correct"] is True for item in items) / len(items))
    return items


def count_ungraded(items: Sequence[Mapping[str, Any]], title: str) -> int:
    """Count the answers without a verdict. Raises GraderError where they are more than MAX_UNGRADED of all."""
    ungraded = sum(item["correct"] is None for item in items)
    if ungraded > MAX_UNGRADED * len(items):
        raise GraderError(f"{title}: {ungraded} of {len(items)} answers could not be graded")
    return ungraded


def judged(trajectory: Trajectory, request: RolloutRequest, grader: TrajectoryGrader) -> Item:
    """Build a record of items.jsonl: how the trajectory was decoded, the verdict on it, and the trajectory."""
    mode = "greedy" if request.temperature == 0 else "sampled"
    how = {"mode": mode, "with_tools": request.task.tools != NO_TOOLS}
    return {**how, **grader.grade(trajectory).to_dict(), **trajectory.to_dict()}
