"""Read the evaluations below a run folder or a point of a sweep: rows of results, and scores task by task."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from mentor.errors import RunFolderError
from mentor.reporting.read.methods import Scores
from mentor.reporting.read.old_names import with_current_names
from mentor.reporting.read.records import EvalResult, StageRecord, ToolCounts
from mentor.reporting.read.stages import stage_record
from mentor.reporting.read.summaries import look_for, stage_summary
from mentor.reporting.read.task_scores import TaskKey, TaskScores, read_task_scores


def read_evaluations(root: Path, missing: list[str]) -> tuple[list[EvalResult], list[StageRecord], Scores]:
    """Read eval/<model>/<benchmark>/: the rows of summary.json, the records of the folders, and the scores by task."""
    results: list[EvalResult] = []
    records: list[StageRecord] = []
    scores: dict[tuple[str, str, str, str], Mapping[TaskKey, float]] = {}
    for folder in sorted(path for path in root.glob("eval/*/*") if path.is_dir()):
        summary = stage_summary(folder, root, missing)
        if summary is None:
            continue
        look_for(folder / "items.jsonl", root, missing)
        rows = summary.get("results") or []
        items = folder / "items.jsonl"
        task_scores = read_task_scores(items, missing.append) if rows and items.is_file() else {}
        name = folder.relative_to(root).as_posix()
        records.append(_with_task_scores(stage_record(name, summary, []), list(task_scores.values())))
        for row in map(with_current_names, rows):
            result = _eval_result(row, summary, folder, root)
            own = task_scores.get((result.split, result.setting))
            if own is not None:
                result = replace(result, sampled_tokens=own.sampled_tokens, correct=own.correct)
                scores[result.model, result.benchmark, result.split, result.setting] = own.scores()
            results.append(result)
        if any("tools" not in row for row in rows):
            missing.append(f"{name}: no calls per tool (evaluated by an earlier version)")
    return results, records, scores


def _with_task_scores(record: StageRecord, task_scores: Sequence[TaskScores]) -> StageRecord:
    """Add to the record the tokens that were sampled and the number of correct answers."""
    if not task_scores:
        return record
    tokens = [own.sampled_tokens for own in task_scores]
    known = None if None in tokens else float(sum(count or 0 for count in tokens))
    return replace(record, sampled_tokens=known, correct=float(sum(own.correct for own in task_scores)))


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
            tool_use=row.get("tool_use") or {},
        )
    except KeyError as error:
        raise RunFolderError(f"{folder / 'summary.json'}: a row of `results` has no {error}") from error
