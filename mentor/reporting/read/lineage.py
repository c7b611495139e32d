"""Which model was trained from which: the base of each result, and the origins of its numbers."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path

from mentor.reporting.read.records import EvalResult, Origin, StageRecord
from mentor.runs.model_folders import as_checkpoint, model_name

TEACHER_FOLDER = "rollout"


def made_by(model: str) -> str:
    """Name the folder of the stage that made a model: a checkpoint is called after it and its step."""
    return re.sub(r"-step-\d+$", "", model)


def ancestors(model: str, stages: Sequence[StageRecord], evaluated: Iterable[str] = ()) -> list[str]:
    """List the model, then what it was trained from, step by step; the last one may not be of this run.

    A summary names its `base` by path or hub name; a name below eval/ or a stage folder stands for it where one fits.
    """
    started_from = {record.folder: record.counts.get("base") for record in stages}
    known = {*evaluated, *started_from}
    line = [model]
    while path := started_from.get(made_by(line[-1])):
        parts = [part for part in Path(path).parts if part != "model"]
        name = next((name for name in ("--".join(parts), parts[-1]) if name in known), str(path))
        name = model_name(checkpoint) if (checkpoint := as_checkpoint(Path(path))) else name
        if name in line:  # a run whose folders name each other would never end
            break
        line.append(name)
    return line


def with_base(results: list[EvalResult], stages: Sequence[StageRecord]) -> list[EvalResult]:
    """Add its base to each result, and sort bases first.

    The base of a model that was not made from another is the model itself; None where the base is not known or was not
    evaluated.
    """
    evaluated = {result.model for result in results}
    started_elsewhere = {record.folder for record in stages if record.stage in ("sft", "rl")}
    bases = {model: ancestors(model, stages, evaluated)[-1] for model in evaluated}
    bases = {
        model: base for model, base in bases.items() if base in evaluated and made_by(base) not in started_elsewhere
    }
    known = [replace(result, base=bases.get(result.model)) for result in results]
    return sorted(known, key=lambda r: (r.benchmark, not r.is_base, not r.model.startswith("sft"), r.model))


def origins(results: Sequence[EvalResult], stages: Sequence[StageRecord]) -> dict[str, list[Origin]]:
    """List per evaluation folder: itself, the model's stage, what that was trained from, the teacher's trajectories."""
    kinds = {record.folder: record.stage for record in stages}
    evaluated = {result.model for result in results}
    found = {}
    for folder, model in {result.folder: result.model for result in results}.items():
        line = ancestors(model, stages, evaluated)
        roles = ["The model", *["Trained from"] * (len(line) - 1)]
        entries = [Origin("This evaluation", folder), *map(Origin, roles, line)]
        if any(kinds.get(made_by(name)) in ("sft", "rl") for name in line):
            entries.append(Origin("The teacher's trajectories", TEACHER_FOLDER))
        found[folder] = entries
    return found
