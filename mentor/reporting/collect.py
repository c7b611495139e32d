"""Read what the stages of one run left in its folder and put it into one `Report`.

Nothing is measured or invented here: what a stage did not write stays None and is named under `missing`. No formatting.
Of the trajectories of an evaluation only the verdicts are kept; `trajectories.py` reads those that the page shows.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from mentor.errors import RunFolderError
from mentor.jsonl import read_jsonl
from mentor.reporting.lineage import origins, with_base
from mentor.reporting.methods import Scores, against_base, compare, method_results
from mentor.reporting.notes import notes
from mentor.reporting.records import Curve, EvalResult, Report, StageRecord, Sweep, ToolCounts
from mentor.reporting.sweeps import read_sweeps
from mentor.reporting.verdicts import TaskKey, Verdicts, read_verdicts
from mentor.runs.provenance import SUMMARY_NAME, read_summary

TRAINING_STAGES = ("pretrain", "sft", "rl")
NOT_STAGE_FOLDERS = ("eval", "report", "sweeps")


def collect(root: Path, title: str) -> Report:
    """Everything the run folder `root` holds. Raises RunFolderError or InputError for a file that is not readable."""
    missing: list[str] = []
    stages: list[StageRecord] = []
    curves: list[Curve] = []
    for folder in _stage_folders(root):
        summary = _summary(folder, root, missing)
        if summary is None:
            continue
        path = folder / "metrics.jsonl"
        records = finite(list(read_jsonl(path, missing.append))) if path.is_file() else []
        stages.append(_stage_record(folder.name, summary, records))
        curves.extend(_curves(folder.name, records))
        if summary.get("stage") in TRAINING_STAGES and not records:
            missing.append(f"{folder.name}/metrics.jsonl: no learning curve")
        if summary.get("stage") == "rl":
            _look_for(folder / "trajectories" / "trajectories.jsonl", root, missing)
    results, evaluations, scores = _evaluations(root, missing)
    if results and all(result.tool_similarity is None for result in results):
        missing.append("eval: no result has a similarity to the teacher's tool use, so none is drawn")
    for record in stages:
        if record.stage in TRAINING_STAGES and record.folder not in {result.model for result in results}:
            missing.append(f"eval/{record.folder}: this model was not evaluated")
    results = with_base(results, stages)
    methods = method_results(results, stages)
    pairs, resamples = compare(methods, scores)
    stages = sorted(stages, key=_started) + sorted(evaluations, key=_started)
    return Report(
        title=title,
        run=root.name,
        stages=stages,
        results=results,
        curves=curves,
        origins=origins(results, stages),
        methods=against_base(methods, pairs),
        pairs=pairs,
        resamples=resamples,
        sweeps=[_with_evaluations(sweep, root, missing) for sweep in read_sweeps(root, missing)],
        missing=missing,
        notes=notes(stages, results),
    )


def _started(record: StageRecord) -> tuple[float, str]:
    return (math.inf if record.started is None else record.started, record.folder)


def _stage_folders(root: Path) -> list[Path]:
    """Folders of single stages, oldest names first; what starts with a dot is the run's own bookkeeping."""
    if not root.is_dir():
        return []
    return sorted(
        path
        for path in root.iterdir()
        if path.is_dir() and path.name not in NOT_STAGE_FOLDERS and not path.name.startswith(".")
    )


def finite(value: Any) -> Any:
    """The same value with None for NaN and the infinities, which JSON cannot hold."""
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, dict):
        return {key: finite(inner) for key, inner in value.items()}
    if isinstance(value, list):
        return [finite(inner) for inner in value]
    return value


def _summary(folder: Path, root: Path, missing: list[str]) -> dict[str, Any] | None:
    """The folder's summary.json; what is absent or unfinished is noted in `missing`."""
    name = folder.relative_to(root).as_posix()
    summary = finite(read_summary(folder))
    if summary is None:
        missing.append(f"{name}/{SUMMARY_NAME}: the stage did not get that far")
    elif summary.get("status") != "done":
        missing.append(f"{name}: the stage is not done (status: {summary.get('status') or 'unknown'})")
    return summary


def _look_for(path: Path, root: Path, missing: list[str]) -> None:
    """Notes in `missing` that a file of trajectories is not there."""
    if not path.is_file():
        missing.append(f"{path.relative_to(root).as_posix()}: no trajectories to look at")


def _stage_record(folder: str, summary: Mapping[str, Any], records: list[dict[str, Any]]) -> StageRecord:
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


def _curves(folder: str, records: list[dict[str, Any]]) -> list[Curve]:
    """One curve per metric, in the order the metrics first appear."""
    series: dict[str, tuple[list[int], list[float | None]]] = {}
    for record in records:
        for metric, value in record.items():
            if "/" in metric and (value is None or isinstance(value, (int, float))):
                steps, values = series.setdefault(metric, ([], []))
                steps.append(record["step"])
                values.append(value)
    return [Curve(folder, metric, steps, values) for metric, (steps, values) in series.items()]


def _evaluations(root: Path, missing: list[str]) -> tuple[list[EvalResult], list[StageRecord], Scores]:
    """The rows of eval/<model>/<benchmark>/summary.json, what those folders say about themselves, and the verdicts."""
    results: list[EvalResult] = []
    records: list[StageRecord] = []
    scores: dict[tuple[str, str, str, str], Mapping[TaskKey, float]] = {}
    for folder in sorted(path for path in root.glob("eval/*/*") if path.is_dir()):
        summary = _summary(folder, root, missing)
        if summary is None:
            continue
        _look_for(folder / "items.jsonl", root, missing)
        rows = summary.get("results") or []
        items = folder / "items.jsonl"
        verdicts = read_verdicts(items, missing.append) if rows and items.is_file() else {}
        name = folder.relative_to(root).as_posix()
        records.append(_with_verdicts(_stage_record(name, summary, []), list(verdicts.values())))
        for row in rows:
            result = _eval_result(row, summary, folder, root)
            own = verdicts.get((result.split, result.setting))
            if own is not None:
                result = replace(result, sampled_tokens=own.sampled_tokens, correct=own.correct)
                scores[result.model, result.benchmark, result.split, result.setting] = own.scores()
            results.append(result)
        if any("tools" not in row for row in rows):
            missing.append(f"{name}: no calls per tool (evaluated by an earlier version)")
    return results, records, scores


def _with_evaluations(sweep: Sweep, root: Path, missing: list[str]) -> Sweep:
    """The sweep with the evaluations that its points have in their own folders."""
    points = []
    for point in sweep.points:
        lines: list[str] = []
        results, _, _ = _evaluations(root / "sweeps" / sweep.id / point.name, lines)
        missing += [f"sweeps/{sweep.id}/{point.name}/{line}" for line in lines]
        points.append(replace(point, results=results))
    return replace(sweep, points=points)


def _with_verdicts(record: StageRecord, verdicts: Sequence[Verdicts]) -> StageRecord:
    """The record with what the evaluation sampled and how often it was right."""
    if not verdicts:
        return record
    tokens = [own.sampled_tokens for own in verdicts]
    known = None if None in tokens else float(sum(count or 0 for count in tokens))
    return replace(record, sampled_tokens=known, correct=float(sum(own.correct for own in verdicts)))


def _eval_result(row: Mapping[str, Any], summary: Mapping[str, Any], folder: Path, root: Path) -> EvalResult:
    model, benchmark = summary.get("model") or folder.parent.name, summary.get("benchmark") or folder.name
    try:
        return EvalResult(
            model=str(model),
            benchmark=str(benchmark),
            split=row["split"],
            domain=row["domain"],
            mode=row["mode"],
            n=row["n"],
            accuracy=row["accuracy"],
            low=row["low"],
            high=row["high"],
            valid_call_rate=row.get("valid_call_rate"),
            calls_per_answer=row.get("calls_per_answer"),
            tool_similarity=row.get("tool_similarity"),
            stop_reasons=row.get("stop_reasons") or {},
            ungraded=row.get("ungraded"),
            domain_of=row.get("domain_of"),
            tools=ToolCounts(row["tools"]["student"], row["tools"]["teacher"]) if row.get("tools") else None,
            folder=folder.relative_to(root).as_posix(),
            with_tools=row.get("with_tools"),
            pass_at=row.get("pass_at") or {},
            scores=row.get("scores") or {},
            lens=row.get("lens") or {},
        )
    except KeyError as error:
        raise RunFolderError(f"{folder / 'summary.json'}: a row of `results` has no {error}") from error
