"""What is stored of an experiment: of each configuration its stages, its results, and the score of every question.

A configuration is a base with all that was trained from it, in one or more seeds. It is read from a run folder by the
report's own reader, and stored as docs/results/<experiment>/results.json. The rest is made from that file alone.
"""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from mentor.errors import InputError
from mentor.reporting.read.methods import SEPARATOR, Scores, configuration_of
from mentor.reporting.read.order import distinct
from mentor.reporting.read.pooled import PooledRun, add_points, read_source
from mentor.reporting.read.records import EvalResult, MethodResult, Pair, StageRecord
from mentor.reporting.read.sweeps import read_sweeps
from mentor.runs.folder import CONFIG_NAME, stored_config
from scripts.benchmark_record import machine

VERSIONS = ("python", "torch", "transformers")
STAGE_FIELDS = (
    "folder",
    "stage",
    "status",
    "seed",
    "config_hash",
    "git_commit",
    "headline",
    "steps",
    "sampled_tokens",
    "trained_tokens",
)
RESULT_FIELDS = (
    "model",
    "benchmark",
    "split",
    "domain",
    "mode",
    "with_tools",
    "n",
    "accuracy",
    "low",
    "high",
    "valid_call_rate",
    "calls_per_answer",
    "tool_similarity",
    "base",
)
COUNTS = ("base", "teacher_tokens")  # what is stored of the counts of a stage
MARKS = {1.0: "1", 0.0: "0", None: "-"}  # a question that was answered once: right, wrong, without a verdict
SCORES = {mark: score for score, mark in MARKS.items()}


@dataclass(frozen=True)
class BaseResults:
    """One base and all that was trained from it.

    name: of the model preset, or what the points of a sweep set. dates: days on which a stage ended. megabytes: of the
    whole run on disk; None where it was not measured. missing: what the reader of the run found to lack.
    """

    name: str
    run: str
    dates: list[str]
    machine: str
    versions: dict[str, str]
    megabytes: float | None
    missing: list[str]
    stages: list[StageRecord]
    results: list[EvalResult]
    scores: Scores

    def named(self) -> BaseResults:
        """Put the configuration before the name of each folder and model, as the report does."""

        def full(own: str) -> str:
            return f"{self.name}{SEPARATOR}{own}"

        return replace(
            self,
            stages=[replace(s, folder=full(s.folder)) for s in self.stages],
            results=[replace(r, model=full(r.model), base=r.base and full(r.base)) for r in self.results],
            scores={(full(key[0]), key[1], key[2], key[3]): own for key, own in self.scores.items()},
        )

    def to_dict(self, questions: dict[str, list[str]]) -> dict[str, Any]:
        """Return it for JSON, scores in the order of `questions`: of each split, the ids."""
        rows = []
        for row in self.results:
            own = {task: score for (task, _), score in self.scores[key_of(row)].items()}
            scores = _marks([own.get(task) for task in questions[column_of(row)]])
            rows.append({**_known(row, RESULT_FIELDS), "scores": scores})
        stages = []
        for stage in self.stages:
            counts = {name: stage.counts[name] for name in COUNTS if stage.counts.get(name) is not None}
            stages.append(_known(stage, STAGE_FIELDS) | ({"counts": counts} if counts else {}))
        known = {key: value for key, value in vars(self).items() if key not in ("stages", "results", "scores")}
        return {**known, "stages": stages, "results": rows}

    @classmethod
    def from_dict(cls, stored: dict[str, Any], questions: dict[str, list[str]]) -> BaseResults:
        scores = {}
        results = []
        for row in stored["results"]:
            result = EvalResult(**{**dict.fromkeys(RESULT_FIELDS), **row, "stop_reasons": {}, "scores": {}})
            results.append(result)
            own = zip(questions[column_of(result)], map(_score, row["scores"]), strict=True)
            scores[key_of(result)] = {(task, ""): score for task, score in own if score is not None}
        unknown = {"versions": {}, "counts": {}, "seconds": {}, "started": None, "ended": None}
        stages = [StageRecord(**{**dict.fromkeys(STAGE_FIELDS), **unknown, **stage}) for stage in stored["stages"]]
        return cls(**{**stored, "stages": stages, "results": results, "scores": scores})


def _marks(scores: Sequence[float | None]) -> str | list[float | None]:
    """One character for each question where all were answered once, else their shares of right answers."""
    return "".join(MARKS[score] for score in scores) if set(scores) <= MARKS.keys() else list(scores)


def _score(stored: str | float | None) -> float | None:
    return SCORES[stored] if isinstance(stored, str) else stored


def _known(record: EvalResult | StageRecord, fields: Sequence[str]) -> dict[str, Any]:
    return {name: value for name, value in asdict(record).items() if name in fields and value is not None}


def key_of(row: EvalResult) -> tuple[str, str, str, str]:
    return row.model, row.benchmark, row.split, row.setting


def column_of(of: EvalResult | MethodResult | Pair) -> str:
    return f"{of.benchmark}/{of.split}"


# --- the file --------------------------------------------------------------------------------------------------------


def load(path: Path) -> list[BaseResults]:
    """Read the configurations of a results.json."""
    stored = json.loads(path.read_text(encoding="utf-8"))
    return [BaseResults.from_dict(own, stored["questions"]) for own in stored["configurations"]]


def to_json(configurations: Sequence[BaseResults]) -> str:
    """Return the text of a results.json: one line for each split, stage and result.

    Raises InputError for models that answered other questions.
    """
    questions = _questions(configurations)
    splits = ",\n  ".join(f"{json.dumps(split)}: {json.dumps(ids)}" for split, ids in questions.items())
    texts = ",\n".join(_configuration_text(own.to_dict(questions)) for own in configurations)
    return f'{{"schema": 4,\n "questions": {{\n  {splits}}},\n "configurations": [\n{texts}]}}\n'


def _questions(configurations: Sequence[BaseResults]) -> dict[str, list[str]]:
    """The ids of each split that any model has a verdict on."""
    found: dict[str, dict[str, None]] = {}
    rows = [(own, row) for own in configurations for row in own.results]
    for own, row in rows:
        found.setdefault(column_of(row), {}).update((task, None) for task, _ in own.scores[key_of(row)])
    for own, row in rows:
        if row.n < (asked := len(found[column_of(row)])):
            raise InputError(f"{own.name}: {row.model} was asked {row.n} of the {asked} questions of {column_of(row)}")
    return {split: list(ids) for split, ids in found.items()}


def _configuration_text(stored: dict[str, Any]) -> str:
    lists = {key: stored.pop(key) for key in ("stages", "results")}
    head = "  " + json.dumps(stored, ensure_ascii=False)[:-1]
    rows = (f'"{key}": [\n   ' + ",\n   ".join(map(json.dumps, own)) + "]" for key, own in lists.items())
    return ",\n  ".join([head, *rows]) + "}"


# --- from a run ------------------------------------------------------------------------------------------------------


def read_run(folder: Path) -> list[BaseResults]:
    """Read a run folder, the evaluated points of its sweeps pooled.

    Raises InputError where nothing was evaluated or where a test would lack the answers.
    """
    missing: list[str] = []
    run = read_source(folder, missing)
    add_points(run, read_sweeps(folder, missing), folder, missing)
    if not run.results:
        raise InputError(f"{folder} holds no evaluation, nor does a point of its sweeps")
    if lacking := {f"{r.model}/{r.benchmark}" for r in run.results if key_of(r) not in run.scores}:
        raise InputError(f"{folder} lacks items.jsonl of {', '.join(sorted(lacking))}, which the tests need")
    names = distinct(configuration_of(r.model) for r in run.results)
    return [_configuration(folder, name, run, distinct(missing)) for name in names]


def _configuration(folder: Path, name: str, run: PooledRun, missing: list[str]) -> BaseResults:
    """Take of a run what belongs to one configuration, without its name before theirs."""
    prefix = f"{name}{SEPARATOR}" if name else ""
    results = [r for r in run.results if configuration_of(r.model) == name]
    evaluated = {r.folder for r in results}
    stages = [record for record in run.stages if configuration_of(record.folder) == name]
    stages += [record for record in run.evaluations if record.folder in evaluated]
    ended = sorted(record.ended for record in stages if record.ended is not None)
    return BaseResults(
        name=name or model_name(folder),
        run=folder.resolve().name,
        dates=distinct(datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%d") for seconds in ended),
        machine=machine(),
        versions={package: " or ".join(own) for package in VERSIONS if (own := _versions(stages, package))},
        megabytes=round(size_of(folder) / 1e6, 1),
        missing=missing,
        stages=[replace(record, folder=record.folder.removeprefix(prefix)) for record in stages],
        results=[
            replace(r, model=r.model.removeprefix(prefix), base=r.base and r.base.removeprefix(prefix)) for r in results
        ],
        scores={
            (model.removeprefix(prefix), *where): {(task, ""): score for (task, _), score in own.items()}
            for (model, *where), own in run.scores.items()
            if configuration_of(model) == name
        },
    )


def _versions(stages: Sequence[StageRecord], package: str) -> list[str]:
    return sorted({record.versions[package] for record in stages if package in record.versions})


def model_name(folder: Path) -> str:
    """Return the name of the model preset that the stages of a run, or of the points of its sweeps, were given.

    Raises InputError where no stage says it.
    """
    for pattern in (f"*/{CONFIG_NAME}", f"sweeps/*/*/*/{CONFIG_NAME}"):
        for path in sorted(folder.glob(pattern)):
            if name := ((stored_config(path.parent) or {}).get("model") or {}).get("name"):
                return str(name)
    raise InputError(f"{folder} has no stage whose {CONFIG_NAME} has model.name, which names the configuration")


def size_of(folder: Path) -> int:
    """Return the bytes of the files below a folder: what is linked is not followed, and linked twice counts once."""
    files = [Path(root, name).lstat() for root, _, names in os.walk(folder) for name in names]
    return sum({(file.st_dev, file.st_ino): file.st_size for file in files}.values())
