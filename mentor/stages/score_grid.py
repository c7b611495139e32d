"""`stage.grid` of stage=score: judge the rows once, replay them at every point of a grid of reward numbers.

Groups are judged and replayed as they are read; none is kept.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import ExitStack
from dataclasses import asdict, dataclass
from itertools import chain
from typing import Any

from mentor.algorithm.advantage import AdvantageSettings
from mentor.config import ScoreStage
from mentor.endpoints.background import BackgroundEndpoint
from mentor.errors import InputError
from mentor.evaluation.replay import NOTE, JudgedGroup, Replay, Tolerance, replay
from mentor.loggers import Logger
from mentor.rewards import CompositeReward, build_reward
from mentor.rewards.grader_pool import GraderPool
from mentor.rewards.weight_grid import grid_points
from mentor.stages.score_rows import ScoreRows, work_on_groups
from mentor.types import Trajectory


@dataclass(frozen=True)
class GridReplay:
    """record: the replay with all that it was made from, as it is written."""

    found: Replay
    record: dict[str, Any]


def replay_rows(
    rows: ScoreRows,
    stage: ScoreStage,
    settings: Mapping[str, Any],
    pool: GraderPool,
    judge: BackgroundEndpoint | None,
    logger: Logger,
) -> GridReplay:
    """Judge the rows once and replay them at every point of `stage.grid`. settings: of the reward `stage.grid_base`.

    Groups of one row, or of a task whose teacher is unknown (or its results, where a point compares them), are left out
    and counted.

    Raises ConfigError for a grid that is not accepted, and InputError where no group is left.
    """
    base, points = grid_points(settings, stage.grid_base, stage.grid)
    advantage = AdvantageSettings(stage.advantage, stage.normalize_std)
    tolerance = Tolerance(stage.same_cosine, stage.same_flips)
    counts: Counter[str] = Counter()
    with ExitStack() as stack:
        rewards = {}
        for point in {point.measures: point for point in (base, *points)}.values():
            reward = build_reward(pool, logger.message, judge, **{**point.settings, "grader_workers": stage.workers})
            assert isinstance(reward, CompositeReward)
            rewards[point.measures] = stack.enter_context(reward)

        def judge_group(trajectories: list[Trajectory]) -> JudgedGroup | None:
            task = trajectories[0].task
            if len(trajectories) == 1 or not all(reward.can_measure(task) for reward in rewards.values()):
                return None
            return {measures: reward.judge(trajectories) for measures, reward in rewards.items()}

        def judged() -> Iterator[JudgedGroup]:
            for group, made in work_on_groups(rows, judge_group, stage.workers, logger, "judge"):
                if made is None:
                    counts["groups_left_out"] += 1
                else:
                    counts.update(groups=1, trajectories=len(group))
                    yield made

        groups = judged()
        first = next(groups, None)
        if first is None:
            raise InputError(
                "stage.input holds no group of several trajectories of a task whose teacher is known, and stage.grid "
                "compares advantages within groups; accepted: trajectories that stage=rl stored"
            )
        found = replay(base, points, chain([first], groups), advantage, tolerance)
    record = {
        "note": NOTE,
        "input": stage.input,
        "trajectories": counts["trajectories"],
        "groups": counts["groups"],
        "groups_left_out": counts["groups_left_out"],
        "preset": stage.grid_base,
        "advantage": asdict(advantage),
        "tolerance": asdict(tolerance),
        **asdict(found),
    }
    return GridReplay(found, record)
