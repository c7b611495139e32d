"""Counts of what a teacher rollout has stored: verified and rejected tasks, calls and the tools they used."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from mentor.jsonl import Report, read_jsonl
from mentor.trajectories.store import load_trajectories
from mentor.types import Trajectory


@dataclass
class RolloutCounts:
    """Counts over both files of a rollout folder. `tools` counts executed calls of verified trajectories."""

    ids: set[str] = field(default_factory=set)
    verified: int = 0
    reasons: Counter[str] = field(default_factory=Counter)
    tools: Counter[str] = field(default_factory=Counter)

    @classmethod
    def stored(cls, folder: Path, report: Report) -> RolloutCounts:
        """Count what an earlier, interrupted run left in a folder."""
        counts = cls()
        if (folder / "trajectories.jsonl").exists():
            for trajectory in load_trajectories(folder / "trajectories.jsonl", report, schemas=False):
                counts.keep(trajectory)
        if (folder / "rejected.jsonl").exists():
            for record in read_jsonl(folder / "rejected.jsonl", report):
                counts.reject(record)
        return counts

    def keep(self, trajectory: Trajectory) -> None:
        """Count one verified trajectory."""
        self.ids.add(trajectory.task.id)
        self.verified += 1
        self.tools.update(call.name for call in trajectory.executed_calls())

    def reject(self, record: dict[str, Any]) -> None:
        """Count one record of rejected.jsonl."""
        self.ids.add(record["id"])
        self.reasons[record["reason"]] += 1

    @property
    def rejected(self) -> int:
        return self.reasons.total()

    @property
    def verified_share(self) -> float:
        return self.verified / max(1, self.verified + self.rejected)

    def metrics(self) -> dict[str, float]:
        """Return the metrics `rollout/*`."""
        calls = self.tools.total() / max(1, self.verified)
        return {
            "rollout/verified": self.verified,
            "rollout/rejected": self.rejected,
            "rollout/verified_share": self.verified_share,
            "rollout/calls_per_trajectory": calls,
        }

    def counts(self) -> dict[str, Any]:
        """Return the counts of the summary; reasons and tools, the most frequent first."""
        return {
            "tasks": self.verified + self.rejected,
            "verified": self.verified,
            "rejected": dict(self.reasons.most_common()),
            "calls": self.tools.total(),
            "tools": dict(self.tools.most_common()),
        }
