"""Read what the stages of one run left in its folder and put it into one `Report`.

Nothing is measured or invented here: what a stage did not write stays None and is named under `missing`. No formatting;
every output (HTML, Markdown, JSON, figures) is made from this one structure.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

from mentor.errors import RunFolderError
from mentor.jsonl import read_jsonl
from mentor.runs.provenance import SUMMARY_NAME, read_summary

TRAINING_STAGES = ("pretrain", "sft", "rl")
NOT_STAGE_FOLDERS = ("eval", "report", "sweeps")


@dataclass(frozen=True)
class StageRecord:
    """What one stage folder says about itself.

    `seconds` is per phase, of the process that finished the stage; `started` and `ended` are unix seconds. The last
    four fields are sums over metrics.jsonl, so they cover resumed stages whole; None where nothing of it was logged.
    """

    folder: str
    stage: str | None
    status: str | None
    seed: int | None
    config_hash: str | None
    git_commit: str | None
    versions: dict[str, str]
    counts: dict[str, Any]
    seconds: dict[str, float]
    headline: dict[str, Any] | None
    started: float | None
    ended: float | None
    steps: int | None = None
    sampled_tokens: float | None = None
    trained_tokens: float | None = None
    step_seconds: float | None = None


@dataclass(frozen=True)
class EvalResult:
    """One model on one split in one decoding mode; rates and interval bounds are shares between 0 and 1.

    `n` counts tasks and `ungraded` the trajectories no verdict was reached on.
    `base` names the evaluated model this one was trained from, `base_low` and `base_high` its interval on the same
    split in the same mode, `apart_from_base` whether the two are disjoint: None for a base and without one to compare.
    """

    model: str
    benchmark: str
    split: str
    domain: str
    mode: str
    n: int
    accuracy: float | None
    low: float | None
    high: float | None
    valid_call_rate: float | None
    calls_per_answer: float | None
    tool_similarity: float | None
    stop_reasons: dict[str, float]
    ungraded: int | None = None
    base: str | None = None
    base_low: float | None = None
    base_high: float | None = None
    apart_from_base: bool | None = None

    @property
    def is_base(self) -> bool:
        return self.base == self.model


@dataclass(frozen=True)
class Curve:
    """One metric of one training folder over its steps; a value that was not finite is None."""

    folder: str
    metric: str
    steps: list[int]
    values: list[float | None]


@dataclass(frozen=True)
class Report:
    """All numbers of a run, unformatted."""

    title: str
    run: str
    stages: list[StageRecord]
    results: list[EvalResult]
    curves: list[Curve]
    missing: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    def to_dict(self) -> dict[str, Any]:
        return {"schema": 1, **asdict(self)}


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
        records = _finite(list(read_jsonl(path, missing.append))) if path.is_file() else []
        stages.append(_stage_record(folder.name, summary, records))
        curves.extend(_curves(folder.name, records))
        if summary.get("stage") in TRAINING_STAGES and not records:
            missing.append(f"{folder.name}/metrics.jsonl: no learning curve")
    results, evaluations = _evaluations(root, missing)
    for record in stages:
        if record.stage in TRAINING_STAGES and record.folder not in {result.model for result in results}:
            missing.append(f"eval/{record.folder}: this model was not evaluated")
    stages = sorted(stages, key=_started) + sorted(evaluations, key=_started)
    return Report(
        title=title,
        run=root.name,
        stages=stages,
        results=_with_base(results, {record.folder: record.counts.get("base") for record in stages}),
        curves=curves,
        missing=missing,
        notes=_notes(stages, results),
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


def _finite(value: Any) -> Any:
    """The same value with None for NaN and the infinities, which JSON cannot hold."""
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, dict):
        return {key: _finite(inner) for key, inner in value.items()}
    if isinstance(value, list):
        return [_finite(inner) for inner in value]
    return value


def _summary(folder: Path, root: Path, missing: list[str]) -> dict[str, Any] | None:
    """The folder's summary.json; what is absent or unfinished is noted in `missing`."""
    name = folder.relative_to(root).as_posix()
    summary = _finite(read_summary(folder))
    if summary is None:
        missing.append(f"{name}/{SUMMARY_NAME}: the stage did not get that far")
    elif summary.get("status") != "done":
        missing.append(f"{name}: the stage is not done (status: {summary.get('status') or 'unknown'})")
    return summary


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
        trained_tokens=_total(records, ["tokens/trained"]),
        step_seconds=_total(records, sorted({key for record in records for key in record if key.startswith("time/")})),
    )


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


def _evaluations(root: Path, missing: list[str]) -> tuple[list[EvalResult], list[StageRecord]]:
    """The rows of eval/<model>/<benchmark>/summary.json, and what those folders say about themselves."""
    results: list[EvalResult] = []
    records: list[StageRecord] = []
    for folder in sorted(path for path in root.glob("eval/*/*") if path.is_dir()):
        summary = _summary(folder, root, missing)
        if summary is None:
            continue
        records.append(_stage_record(folder.relative_to(root).as_posix(), summary, []))
        model = str(summary.get("model") or folder.parent.name)
        for row in summary.get("results") or []:
            results.append(_eval_result(row, model, str(summary.get("benchmark") or folder.name), folder))
    return results, records


def _eval_result(row: Mapping[str, Any], model: str, benchmark: str, folder: Path) -> EvalResult:
    try:
        return EvalResult(
            model=model,
            benchmark=benchmark,
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
        )
    except KeyError as error:
        raise RunFolderError(f"{folder / 'summary.json'}: a row of `results` has no {error}") from error


def _base_of(model: str, started_from: Mapping[str, str | None], evaluated: set[str]) -> str | None:
    """The evaluated model that `model` was trained from, through SFT too; itself when this run did not train it.

    started_from: per stage folder what its summary names as `base`, a model folder or a hub name. None for a base that
    was not evaluated.
    """
    name: str | None = model
    while name is not None and (path := started_from.get(name)):
        parts = [part for part in Path(path).parts if part != "model"]
        name = next((known for known in ("--".join(parts), parts[-1]) if known in evaluated | set(started_from)), None)
    return name if name in evaluated else None


def _with_base(results: list[EvalResult], started_from: Mapping[str, str | None]) -> list[EvalResult]:
    """The results, bases first, each with its base and whether the two intervals are apart."""
    evaluated = {result.model for result in results}
    bases = {model: _base_of(model, started_from, evaluated) for model in evaluated}
    by_key = {(r.model, r.benchmark, r.split, r.mode): r for r in results}
    compared = []
    for result in results:
        base = bases[result.model]
        other = by_key.get((base or "", result.benchmark, result.split, result.mode))
        if other is None or base == result.model:
            compared.append(replace(result, base=base))
            continue
        apart = intervals_apart(result, other)
        compared.append(replace(result, base=base, base_low=other.low, base_high=other.high, apart_from_base=apart))
    return sorted(compared, key=lambda r: (r.benchmark, not r.is_base, not r.model.startswith("sft"), r.model))


def intervals_apart(one: EvalResult, other: EvalResult) -> bool | None:
    """Whether two intervals share no value; None when one of them is unknown."""
    if one.low is None or one.high is None or other.low is None or other.high is None:
        return None
    return one.low > other.high or one.high < other.low


def _notes(stages: list[StageRecord], results: list[EvalResult]) -> list[str]:
    """Cautions that follow from what the run holds."""
    notes = []
    seeds: dict[str, set[int | None]] = {}
    for record in stages:
        if record.stage in ("sft", "rl"):
            seeds.setdefault(record.folder.rsplit("-s", 1)[0], set()).add(record.seed)
    single = sorted(name for name, values in seeds.items() if len(values) == 1)
    if single:
        notes.append(f"One training seed only for {', '.join(single)}: no ranking of these follows from this run.")
    commits = {record.git_commit for record in stages if record.git_commit}
    if len(commits) > 1:
        notes.append(f"The stages ran at {len(commits)} different commits (see provenance).")
    if any(commit.endswith("-dirty") for commit in commits):
        notes.append("Code with uncommitted changes ran here (`-dirty` in provenance): no commit holds it.")
    if results and not any(result.domain == "ood" for result in results):
        notes.append("No out-of-domain split was evaluated.")
    return notes
