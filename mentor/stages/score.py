"""Rewards of stored trajectories or raw rows, without any model: stage.input -> one row of totals and terms each.

Rows keep their order. Those of one group (same `group_id` and `step`) are scored together, as in training; a raw row
is a group of its own. A total is null where the grader failed, or where a preset compares with an unknown teacher.
"""

from __future__ import annotations

import json
import os
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean
from typing import Any

from mentor.config import Config, ScoreStage
from mentor.errors import ConfigError, InputError
from mentor.loggers import Logger
from mentor.rewards import Reward, build_reward, load_preset
from mentor.rewards.grader_pool import GraderPool
from mentor.rewards.raw import raw_trajectory
from mentor.runs.folder import RunFolder
from mentor.stages import StageResult
from mentor.tasks.rows import read_rows
from mentor.trajectories.store import stored_trajectory
from mentor.types import RewardBreakdown, Trajectory

NO_REFERENCE = RewardBreakdown(None, {"correct": None, "match": None, "valid": None}, "no_reference")


@dataclass(frozen=True)
class Row:
    """One record to score. `group`: equal for the rows of one group."""

    id: str | int
    trajectory: Trajectory
    group: tuple[Any, ...]


def run(config: Config, folder: RunFolder, logger: Logger) -> StageResult:
    """Headline `reward/<preset>`: the mean total of the last preset. Raises InputError for unusable input or output."""
    started = time.perf_counter()
    stage = config.stage
    assert isinstance(stage, ScoreStage)
    output = Path(stage.output)
    if output.exists() and not config.overwrite:
        raise InputError(f"stage.output={stage.output} exists already, accepted: a new file, or overwrite=true")
    if stage.workers < 1:
        raise ConfigError(f"stage.workers={stage.workers}, accepted: 1 or more")
    if not stage.presets:
        raise ConfigError("stage.presets=[], accepted: one or more reward presets")
    settings = {name: {**load_preset(name), "grader_workers": stage.workers} for name in stage.presets}
    rows = load_rows(Path(stage.input))
    loaded = time.perf_counter()
    with ExitStack() as stack:
        pool = stack.enter_context(GraderPool(stage.workers))
        rewards: dict[str, Reward] = {}
        for name, preset in settings.items():
            rewards[name] = build_reward(pool, **preset)
            stack.callback(rewards[name].close)
        scores = score_rows(rows, rewards, stage.workers, logger)
    write_scores(output, rows, scores)
    means = {name: fmean(totals) for name in rewards if (totals := _totals(scores, name))}
    logger.log(0, {f"reward/{name}": mean for name, mean in means.items()})
    counts = {"rows": len(rows), "without_total": {name: len(rows) - len(_totals(scores, name)) for name in rewards}}
    last = stage.presets[-1]
    headline = (f"reward/{last}", means[last]) if last in means else None
    return StageResult(headline, counts, {"load": loaded - started, "score": time.perf_counter() - loaded})


def score_rows(
    rows: Sequence[Row], rewards: dict[str, Reward], workers: int, logger: Logger
) -> list[dict[str, RewardBreakdown]]:
    """The breakdowns of each row by preset, in the order of the rows."""
    groups: dict[tuple[Any, ...], list[int]] = {}
    for position, row in enumerate(rows):
        groups.setdefault(row.group, []).append(position)
    scores: list[dict[str, RewardBreakdown]] = [{} for _ in rows]

    def score_group(positions: list[int]) -> list[int]:
        trajectories = [rows[position].trajectory for position in positions]
        for name, reward in rewards.items():
            for position, breakdown in zip(positions, _score_group(reward, trajectories), strict=True):
                scores[position][name] = breakdown
        return positions

    with ThreadPoolExecutor(workers) as threads, logger.progress(len(rows), "score") as bar:
        try:
            for positions in threads.map(score_group, groups.values()):
                bar.advance(len(positions))
        except BaseException:
            threads.shutdown(cancel_futures=True)
            raise
    return scores


def _score_group(reward: Reward, trajectories: Sequence[Trajectory]) -> Sequence[RewardBreakdown]:
    if reward.needs_reference and any(trajectory.task.reference is None for trajectory in trajectories):
        return [NO_REFERENCE] * len(trajectories)
    return reward.score(trajectories)


def _totals(scores: Sequence[dict[str, RewardBreakdown]], name: str) -> list[float]:
    return [total for row in scores if (total := row[name].total) is not None]


def write_scores(path: Path, rows: Sequence[Row], scores: Sequence[dict[str, RewardBreakdown]]) -> None:
    """Written beside its place and moved there when whole."""
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        with temporary.open("w", encoding="utf-8") as file:
            for row, by_preset in zip(rows, scores, strict=True):
                record = {
                    "id": row.id,
                    "rewards": {name: breakdown.total for name, breakdown in by_preset.items()},
                    "terms": {name: breakdown.terms for name, breakdown in by_preset.items()},
                }
                file.write(json.dumps(record, ensure_ascii=False) + "\n")
        os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)


def load_rows(path: Path) -> list[Row]:
    """Stored trajectories (records with the key `schema`) and raw rows, mixed as they come; plain or gzip JSONL.

    Raises InputError naming file and line for anything else, and for a file without rows.
    """
    checked: set[str] = set()
    return [_row(record, place, checked) for place, record in read_rows(path, "stage.input")]


def _row(record: dict[str, Any], place: str, checked: set[str]) -> Row:
    if "schema" not in record:
        return Row(record.get("id", ""), raw_trajectory(record, place), (place,))
    trajectory = stored_trajectory(record, place, checked)
    group = (place,) if trajectory.group_id is None else (trajectory.group_id, record.get("step"))
    return Row(record.get("id", trajectory.task.id), trajectory, group)
