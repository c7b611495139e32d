"""`stage.grid` of stage=score: judge the rows once, replay them at every point of a grid of reward numbers."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import asdict, dataclass
from typing import Any

from mentor.algorithm.advantage import AdvantageSettings
from mentor.config import ScoreStage
from mentor.errors import InputError
from mentor.evaluation.replay import NOTE, JudgedGroup, Replay, Tolerance, replay
from mentor.loggers import Logger
from mentor.rewards import CompositeReward, build_reward
from mentor.rewards.composite import Judged
from mentor.rewards.grader_pool import GraderPool
from mentor.rewards.weight_grid import grid_points
from mentor.stages.score_rows import ScoreRow, groups_of, work_on_groups
from mentor.types import Trajectory


@dataclass(frozen=True)
class GridReplay:
    """record: the replay with all that it was made from, as it is written."""

    found: Replay
    record: dict[str, Any]


def replay_rows(rows: Sequence[ScoreRow], stage: ScoreStage, pool: GraderPool, logger: Logger) -> GridReplay:
    """Judge the rows once and replay them at every point of `stage.grid`.

    Groups of one row, or of a task whose teacher is unknown, are left out and counted.

    Raises ConfigError for a grid that is not accepted, and InputError where no group is left.
    """
    base, points = grid_points(stage.grid_base, stage.grid)
    advantage = AdvantageSettings(stage.advantage, stage.normalize_std)
    tolerance = Tolerance(stage.same_cosine, stage.same_flips)
    groups = groups_of(rows)
    kept = [group for group in groups if len(group) > 1 and rows[group[0]].trajectory.task.reference is not None]
    if not kept:
        raise InputError(
            "stage.input holds no group of several trajectories of a task whose teacher is known, and stage.grid "
            "compares advantages within groups; accepted: trajectories that stage=rl stored"
        )
    with ExitStack() as stack:
        rewards = {}
        for matcher in dict.fromkeys(point.settings["matcher"] for point in (base, *points)):
            reward = build_reward(pool, **{**base.settings, "matcher": matcher, "grader_workers": stage.workers})
            assert isinstance(reward, CompositeReward)
            rewards[matcher] = stack.enter_context(reward)

        def judge(trajectories: list[Trajectory]) -> dict[str, list[Judged]]:
            return {matcher: reward.judge(trajectories) for matcher, reward in rewards.items()}

        judged = [
            JudgedGroup([rows[position].trajectory for position in positions], by_matcher)
            for positions, by_matcher in work_on_groups(rows, kept, judge, stage.workers, logger, "judge")
        ]
    found = replay(base, points, judged, advantage, tolerance)
    record = {
        "note": NOTE,
        "input": stage.input,
        "trajectories": sum(map(len, kept)),
        "groups": len(kept),
        "groups_left_out": len(groups) - len(kept),
        "preset": stage.grid_base,
        "advantage": asdict(advantage),
        "tolerance": asdict(tolerance),
        **asdict(found),
    }
    return GridReplay(found, record)
