"""Alarms of an RL run: most advantage without a correct answer, most groups without variance."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Mapping
from typing import Any

WINDOW = 5  # steps looked back on
LIMIT = 0.5

ADVICE = {
    "alarm/all_fail": "{share:.0%} of |advantage| came from groups without a correct answer, so the student "
    "mostly learns the other terms of the reward: lower reward.weights.tool and valid, set reward.gate=group, or use a "
    "better base",
    "alarm/zero_variance": "{share:.0%} of the groups had zero variance (equal rewards, so no advantage): the tasks "
    "are too hard or too easy for this base, or trainer.group_size is too small",
}


class Alarms:
    """Watches the last WINDOW steps. rows: the metrics of the steps before a resume."""

    def __init__(self, rows: Iterable[Mapping[str, Any]] = ()) -> None:
        self._window: deque[Mapping[str, Any]] = deque(rows, maxlen=WINDOW)
        self._ringing = {name: share > LIMIT for name, share in self._shares().items()}

    def watch(self, step: int, metrics: Mapping[str, float]) -> tuple[dict[str, float], list[str]]:
        """Return `alarm/<name>` as 0 or 1 for this step's log, and a line for every alarm that starts with it."""
        self._window.append(metrics)
        shares = self._shares()
        ringing = {name: share > LIMIT for name, share in shares.items()}
        lines = [
            f"alarm at step {step}: {self._span()} {advice.format(share=shares[name])}"
            for name, advice in ADVICE.items()
            if ringing[name] and not self._ringing[name]
        ]
        self._ringing = ringing
        return {name: float(on) for name, on in ringing.items()}, lines

    def _span(self) -> str:
        return f"over the last {len(self._window)} steps" if len(self._window) > 1 else "in this step"

    def _shares(self) -> dict[str, float]:
        """all_fail: of the summed |advantage|; zero_variance: of the groups. 0 without any."""
        rows = self._window
        sizes = [row.get("advantage/abs_mean") or 0.0 for row in rows]
        size = sum(sizes)
        failed = sum(part * (row.get("advantage/share_all_fail") or 0.0) for part, row in zip(sizes, rows, strict=True))
        equal = sum(row["groups/zero_variance"] for row in rows)
        return {
            "alarm/all_fail": failed / size if size else 0.0,
            "alarm/zero_variance": equal / len(rows) if rows else 0.0,
        }
