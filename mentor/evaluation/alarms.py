"""Alarms of an RL run: most advantage without a correct answer, most groups without variance, a canary gone astray."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Mapping
from typing import Any

WINDOW = 5  # steps looked back on
LIMITS = {"alarm/all_fail": 0.5, "alarm/zero_variance": 0.5, "alarm/canary": 5.0}
"""What rings above: a share of |advantage|, a share of the groups, a multiple of the first push's difference (without
fault it was below 2 in bfloat16, where only rounding differs)."""

ADVICE = {
    "alarm/all_fail": "{value:.0%} of |advantage| came from groups without a correct answer, so the student "
    "mostly learns the other terms of the reward: lower reward.weights.tool and valid, set reward.gate=group, or use a "
    "better base",
    "alarm/zero_variance": "{value:.0%} of the groups had zero variance (equal rewards, so no advantage): the tasks "
    "are too hard or too easy for this base, or trainer.group_size is too small",
    "alarm/canary": "the canary's logprobs of policy and sampler differed {value:.1f} times as much as after the first "
    "push, though all weights arrived: a stale cache or copy of weights in the rollout engine, or a model in which "
    "rounding has come to count; see policy/mismatch_kl, and try model.dtype=float32 or sampler=transformers",
}


class Alarms:
    """Watches the last WINDOW steps. rows: the metrics of the steps before a resume."""

    def __init__(self, rows: Iterable[Mapping[str, Any]] = ()) -> None:
        self._window: deque[Mapping[str, Any]] = deque(rows, maxlen=WINDOW)
        self._ringing = self._above(self._values())

    def watch(self, step: int, metrics: Mapping[str, float]) -> tuple[dict[str, float], list[str]]:
        """Return `alarm/<name>` as 0 or 1 for this step's log, and a line for every alarm that starts with it."""
        self._window.append(metrics)
        values = self._values()
        ringing = self._above(values)
        lines = [
            f"alarm at step {step}: {self._span()} {advice.format(value=values[name])}"
            for name, advice in ADVICE.items()
            if ringing[name] and not self._ringing[name]
        ]
        self._ringing = ringing
        return {name: float(on) for name, on in ringing.items()}, lines

    def _span(self) -> str:
        return f"over the last {len(self._window)} steps" if len(self._window) > 1 else "in this step"

    def _above(self, values: Mapping[str, float]) -> dict[str, bool]:
        return {name: value > LIMITS[name] for name, value in values.items()}

    def _values(self) -> dict[str, float]:
        """all_fail: of the summed |advantage|; zero_variance: of the groups; canary: the mean. 0 without any."""
        rows = self._window
        sizes = [row.get("advantage/abs_mean") or 0.0 for row in rows]
        size = sum(sizes)
        failed = sum(part * (row.get("advantage/share_all_fail") or 0.0) for part, row in zip(sizes, rows, strict=True))
        equal = sum(row["groups/zero_variance"] for row in rows)
        return {
            "alarm/all_fail": failed / size if size else 0.0,
            "alarm/zero_variance": equal / len(rows) if rows else 0.0,
            "alarm/canary": sum(row.get("sync/canary_growth") or 0.0 for row in rows) / len(rows) if rows else 0.0,
        }
