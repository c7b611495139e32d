"""Runs of tau-bench: `{"task_id", "trial", "reward", "info", "traj": [OpenAI messages]}`. The rows list no tools.

The user is simulated and ends a run with `###STOP###`, which no assistant answers.
"""

from __future__ import annotations

from dataclasses import replace

from mentor.rows import Row
from mentor.traces.forms.form import TraceForm, entries_of, read_conversation
from mentor.traces.trace import Trace


def fits(row: Row) -> bool:
    return bool(entries_of(row, "traj"))


def read(row: Row) -> Trace:
    reward = row.get("reward")
    given = float(reward) if isinstance(reward, int | float) and not isinstance(reward, bool) else None
    return replace(read_conversation(row, row.get("traj")), reward=given)


FORM = TraceForm("tau_bench", fits, read)
