"""Read the stage folders of a run: a record of each, and its learning curves."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from mentor.jsonl import read_jsonl
from mentor.loggers.metrics_file import PHASE, is_evaluation
from mentor.reporting.read.old_names import with_current_names
from mentor.reporting.read.records import Curve, StageRecord
from mentor.reporting.read.summaries import finite, look_for, stage_summary
from mentor.runs.folder import PARITY

TRAINING_STAGES = ("pretrain", "sft", "rl")
NOT_STAGE_FOLDERS = ("eval", "report", "sweeps", PARITY)


def read_stages(root: Path, missing: list[str]) -> tuple[list[StageRecord], list[Curve]]:
    """Read every stage folder of the run; what a folder lacks is added to `missing`."""
    stages: list[StageRecord] = []
    curves: list[Curve] = []
    for folder in _stage_folders(root):
        summary = stage_summary(folder, root, missing)
        if summary is None:
            continue
        records = _metrics(folder / "metrics.jsonl", missing)
        stages.append(stage_record(folder.name, summary, records))
        curves.extend(learning_curves(folder.name, records))
        if summary.get("stage") in TRAINING_STAGES and not records:
            missing.append(f"{folder.name}/metrics.jsonl: no learning curve")
        if summary.get("stage") == "rl":
            look_for(folder / "trajectories" / "trajectories.jsonl", root, missing)
    return stages, curves


def _stage_folders(root: Path) -> list[Path]:
    """Folders of single stages by name, without those whose name starts with a dot."""
    if not root.is_dir():
        return []
    return sorted(
        path
        for path in root.iterdir()
        if path.is_dir() and path.name not in NOT_STAGE_FOLDERS and not path.name.startswith(".")
    )


def _metrics(path: Path, missing: list[str]) -> list[dict[str, Any]]:
    """The records of a metrics.jsonl under their current names; none where there is no file."""
    return [with_current_names(finite(row)) for row in read_jsonl(path, missing.append)] if path.is_file() else []


def stage_record(folder: str, summary: Mapping[str, Any], records: list[dict[str, Any]]) -> StageRecord:
    """Build the record of one folder from its summary and the records of its metrics.jsonl.

    Evaluations count in none of its sums.
    """
    records = [record for record in records if not is_evaluation(record)]
    return StageRecord(
        folder=folder,
        stage=summary.get("stage"),
        status=summary.get("status"),
        seed=summary.get("seed"),
        config_hash=summary.get("config_hash"),
        git_commit=summary.get("git_commit"),
        versions=summary.get("versions") or {},
        counts=_counts(summary),
        seconds=summary.get("seconds") or {},
        headline=summary.get("headline"),
        started=summary.get("started"),
        ended=summary.get("ended"),
        steps=len(records) or None,
        sampled_tokens=_total(records, ["rollout/tokens"]),
        trained_tokens=_total(records, ["tokens/trained", "policy/tokens"]),
        step_seconds=_total(records, sorted({key for record in records for key in record if PHASE.fullmatch(key)})),
        updates=_updates(summary.get("stage"), records),
        correct=_total(records, ["rollout/correct"]),
    )


def _counts(summary: Mapping[str, Any]) -> dict[str, Any]:
    """The counts of the summary, with the alarms under their current names."""
    counts = dict(summary.get("counts") or {})
    return counts | {"alarms": with_current_names(counts["alarms"])} if counts.get("alarms") else counts


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
    """Build one curve per metric, in the order in which the metrics first appear."""
    series: dict[str, tuple[list[int], list[float | None]]] = {}
    for record in records:
        for metric, value in record.items():
            if "/" in metric and (value is None or isinstance(value, (int, float))):
                steps, values = series.setdefault(metric, ([], []))
                steps.append(record["step"])
                values.append(value)
    return [Curve(folder, metric, steps, values) for metric, (steps, values) in series.items()]
