"""What one stage folder says about itself: its record, and its learning curves."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from mentor.reporting.read.records import Curve, StageRecord


def stage_record(folder: str, summary: Mapping[str, Any], records: list[dict[str, Any]]) -> StageRecord:
    return StageRecord(
        folder=folder,
        stage=summary.get("stage"),
        status=summary.get("status"),
        seed=summary.get("seed"),
        config_hash=summary.get("config_hash"),
        git_commit=summary.get("git_commit"),
        versions=summary.get("versions") or {},
        counts=summary.get("counts") or {},
        seconds=summary.get("seconds") or {},
        headline=summary.get("headline"),
        started=summary.get("started"),
        ended=summary.get("ended"),
        steps=len(records) or None,
        sampled_tokens=_total(records, ["rollout/tokens"]),
        trained_tokens=_total(records, ["tokens/trained", "policy/tokens"]),
        step_seconds=_total(records, sorted({key for record in records for key in record if key.startswith("time/")})),
        updates=_updates(summary.get("stage"), records),
        correct=_total(records, ["rollout/correct"]),
    )


def _updates(stage: str | None, records: Sequence[Mapping[str, Any]]) -> float | None:
    """Optimiser steps: pretrain and SFT take one a step, RL says how many it took."""
    if stage in ("pretrain", "sft"):
        return len(records) or None
    return _total(records, ["policy/updates"])


def _total(records: Sequence[Mapping[str, Any]], metrics: Sequence[str]) -> float | None:
    """The sum of these metrics over all records; None where none of them was logged."""
    values = [record[metric] for record in records for metric in metrics if record.get(metric) is not None]
    return sum(values) if values else None


def learning_curves(folder: str, records: list[dict[str, Any]]) -> list[Curve]:
    """One curve per metric, in the order the metrics first appear."""
    series: dict[str, tuple[list[int], list[float | None]]] = {}
    for record in records:
        for metric, value in record.items():
            if "/" in metric and (value is None or isinstance(value, (int, float))):
                steps, values = series.setdefault(metric, ([], []))
                steps.append(record["step"])
                values.append(value)
    return [Curve(folder, metric, steps, values) for metric, (steps, values) in series.items()]
