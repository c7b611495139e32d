"""The metrics of an RL run from its first step on, those of the processes before a resume included."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from statistics import fmean
from typing import Any

from mentor.algorithm.advantage import AdvantageSettings
from mentor.errors import StageError
from mentor.evaluation.alarms import ADVICE, Alarms
from mentor.evaluation.rollout_metrics import group_metrics
from mentor.jsonl import read_jsonl
from mentor.loggers.metrics_file import is_evaluation
from mentor.types import TrajectoryGroup

PHASES = ("rollout", "reward", "sleep", "logprobs", "teacher", "update", "push", "push_check")
HEADLINE_STEPS = 10  # last steps whose share of correct answers is the headline


class History:
    """`rows` are the metrics of the steps done so far; `add` appends a step's."""

    def __init__(self, path: Path) -> None:
        """path: the metrics.jsonl of a resumed run, already rolled back to its checkpoint; it may be missing."""
        stored = read_jsonl(path) if path.is_file() else ()
        self.rows: list[Mapping[str, Any]] = [row for row in stored if not is_evaluation(row)]
        self._alarms = Alarms(self.rows)
        self._before = len(self.rows)

    def add(
        self,
        step: int,
        groups: Sequence[TrajectoryGroup],
        stats: Mapping[str, float],
        seconds: Mapping[str, float],
        advantage: AdvantageSettings,
    ) -> tuple[dict[str, float], list[str]]:
        """Return the step's metrics, and a line for every alarm that starts with it.

        stats: of the policy update and the weight push. seconds: per phase, and per part of it as
        `<phase>/<part>`. throughput: sampled tokens a second of the
        rollout; real tokens a second, prompts included, of the update; GiB a second of the push.
        """
        metrics = {**group_metrics(groups, advantage), **stats}
        metrics |= {f"time/{phase}_s": seconds[phase] for phase in PHASES}
        metrics |= {f"time/{part}_s": taken for part, taken in seconds.items() if "/" in part}
        metrics["throughput/rollout_tokens_per_s"] = metrics["rollout/tokens"] / seconds["rollout"]
        metrics["throughput/update_tokens_per_s"] = metrics["policy/tokens"] / seconds["update"]
        if metrics["sync/push_gib"]:  # an embedded sampler has the policy's own weights
            metrics["throughput/push_gib_per_s"] = metrics["sync/push_gib"] / seconds["push"]
        ringing, lines = self._alarms.watch(step, metrics)
        metrics |= ringing
        self.rows.append(metrics)
        return metrics, lines

    def total(self, metric: str) -> float:
        """Sum a metric over all steps."""
        return sum(row.get(metric) or 0.0 for row in self.rows)

    def seconds(self) -> dict[str, float]:
        """Return the seconds of each phase, of this process alone."""
        return {phase: sum(row[f"time/{phase}_s"] for row in self.rows[self._before :]) for phase in PHASES}

    def counts(self) -> dict[str, Any]:
        """Sum over the whole run. Raises StageError where it took no optimiser step."""
        updates = self.total("policy/updates")
        if not updates:
            raise StageError(
                f"no optimiser step in {len(self.rows)} steps: in every group all rewards were equal, so nothing was "
                "learned and no model is written; start from a better base, or change reward= or trainer.group_size"
            )
        return {
            "updates": int(updates),
            "sampled_tokens": int(self.total("rollout/tokens")),
            "alarms": {name: int(self.total(name)) for name in ADVICE},
        }

    def headline(self) -> tuple[str, float] | None:
        """Return the mean share of correct answers over the last steps."""
        share = self.success(HEADLINE_STEPS)
        return None if share is None else ("reward/correct", share)

    def success(self, steps: int) -> float | None:
        """Return the mean share of correct answers over the last `steps` steps; None where nothing was graded."""
        shares = [row.get("reward/correct") for row in self.rows[-steps:]]
        graded = [share for share in shares if share is not None]
        return fmean(graded) if graded else None
