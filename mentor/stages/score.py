"""`stage=score`: rewards of stored trajectories or raw rows, without a model: stage.input -> totals and terms a row.

With `stage.grid` the rows are also replayed with every combination of other reward numbers, into `<output>.grid.json`.
Rows keep their order. Those of one group (same `group_id` and `step`) are scored together, as in training; a raw row is
a group by itself. A total is null where the grader failed, or where a preset compares with calls (or results)
of a teacher that are not known.

All rows are checked first, then read again, scored and written a few groups at a time. The output appears when it is
whole.
"""

from __future__ import annotations

import json
import time
from array import array
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, closing
from pathlib import Path
from statistics import fmean
from typing import Any

from mentor.config import Config, ScoreStage, TaskConfig
from mentor.errors import ConfigError, InputError
from mentor.files import write_file
from mentor.loggers import Logger
from mentor.rewards import Reward, build_reward, described_reward, settings_of
from mentor.rewards.grader_pool import GraderPool
from mentor.runs.folder import RunFolder
from mentor.stages import StageResult
from mentor.stages.judging import open_judge
from mentor.stages.score_grid import replay_rows
from mentor.stages.score_rows import ScoreRows, scan_rows, work_on_groups
from mentor.types import RewardBreakdown, Trajectory


def run(config: Config, folder: RunFolder, logger: Logger) -> StageResult:
    """Headline `reward/<preset>`: the mean total of the last preset. Raises InputError for unusable input or output."""
    started = time.perf_counter()
    stage = config.stage
    assert isinstance(stage, ScoreStage)
    output = Path(stage.output)
    grid_output = output.with_suffix(".grid.json") if stage.grid is not None else None
    check_request(stage, [output, grid_output], config.overwrite)
    own = described_reward(config.reward, config.name)
    presets = {name: {**settings_of(name, own), "grader_workers": stage.workers} for name in stage.presets}
    rows = scan_rows(Path(stage.input), (config.task or TaskConfig()).answer_format)
    make_folder(stage, output.parent)
    loaded = time.perf_counter()
    with ExitStack() as stack:
        pool = stack.enter_context(GraderPool(stage.workers))
        judge = stack.enter_context(open_judge(config, answers_folder(output), logger.message))
        rewards = {
            name: stack.enter_context(closing(build_reward(pool, logger.message, judge, **preset)))
            for name, preset in presets.items()
        }
        grid = None
        if grid_output is not None:
            grid = replay_rows(rows, stage, settings_of(stage.grid_base, own), pool, judge, logger)
        replayed = time.perf_counter()
        totals = {name: array("d") for name in rewards}
        write_file(output, score_lines(rows, rewards, totals, stage.workers, logger))
        missing = {name: reward.missing for name, reward in rewards.items() if reward.missing}
    means = {name: fmean(values) for name, values in totals.items() if values}
    logger.log(0, {f"reward/{name}": mean for name, mean in means.items()})
    counts: dict[str, Any] = {
        "rows": len(rows),
        "without_total": {name: len(rows) - len(values) for name, values in totals.items()},
        **({"missing_grades": missing} if missing else {}),
        **({"judge": judge.counts()} if judge else {}),
    }
    seconds = {"load": loaded - started, "score": time.perf_counter() - replayed}
    if grid is not None and grid_output is not None:
        write_file(grid_output, json.dumps(grid.record, ensure_ascii=False, indent=1) + "\n")
        logger.message(grid.found.table())
        counts["grid"] = {"points": len(grid.found.points), "distinguishable": len(grid.found.clusters)}
        seconds["grid"] = replayed - loaded
    last = stage.presets[-1]
    return StageResult((f"reward/{last}", means[last]) if last in means else None, counts, seconds)


def check_request(stage: ScoreStage, outputs: Sequence[Path | None], overwrite: bool) -> None:
    """Raise InputError for an output that is there already, ConfigError for numbers that leave nothing to do."""
    for path in outputs:
        if path is not None and path.exists() and not overwrite:
            raise InputError(
                f"stage.output={stage.output}: {path} exists already, accepted: a new file, or overwrite=true"
            )
    if stage.workers < 1:
        raise ConfigError(f"stage.workers={stage.workers}, accepted: 1 or more")
    if not stage.presets:
        raise ConfigError("stage.presets=[], accepted: one or more reward presets")


def answers_folder(output: Path) -> Path:
    """Return where the judge's answers are kept, so that the next command with the same output asks none twice."""
    return output.with_suffix(".answers")


def make_folder(stage: ScoreStage, folder: Path) -> None:
    """Make the folder of the output. Raises InputError where it cannot be made."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InputError(f"stage.output={stage.output}: no folder for it, {error.strerror}: {folder}") from None


def score_lines(
    rows: ScoreRows, rewards: dict[str, Reward], totals: dict[str, array[float]], workers: int, logger: Logger
) -> Iterator[str]:
    """Score each group with every reward. Yields the output's JSON lines, one a row, in the order of the rows.

    totals: by preset; those that are known are appended.
    """

    def work(trajectories: list[Trajectory]) -> dict[str, Sequence[RewardBreakdown]]:
        return {name: _score_group(reward, trajectories) for name, reward in rewards.items()}

    early: dict[int, str] = {}  # lines by position, until all before them are there
    written = 0
    for group, by_preset in work_on_groups(rows, work, workers, logger, "score"):
        for member, row in enumerate(group):
            scores = {name: breakdowns[member] for name, breakdowns in by_preset.items()}
            early[row.position] = _line(row.id, scores)
            for name, breakdown in scores.items():
                if breakdown.total is not None:
                    totals[name].append(breakdown.total)
        while written in early:
            yield early.pop(written)
            written += 1


def _score_group(reward: Reward, trajectories: Sequence[Trajectory]) -> Sequence[RewardBreakdown]:
    if not all(reward.can_score(trajectory.task) for trajectory in trajectories):
        return [RewardBreakdown(None, dict.fromkeys(reward.term_names), "no_reference")] * len(trajectories)
    return reward.score(trajectories)


def _line(row_id: str | int, scores: dict[str, RewardBreakdown]) -> str:
    record = {
        "id": row_id,
        "rewards": {name: breakdown.total for name, breakdown in scores.items()},
        "terms": {name: breakdown.terms for name, breakdown in scores.items()},
    }
    return json.dumps(record, ensure_ascii=False) + "\n"
