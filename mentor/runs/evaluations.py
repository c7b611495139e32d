"""List the evaluations of one `stage=eval`: every model with every benchmark, each with its folder and config.

The parent checks their folders before it starts the stage; the stage claims and fills them.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

from mentor.config import BenchmarkConfig, Config, TaskConfig, build, dump
from mentor.errors import RunFolderError
from mentor.evaluation.domains import data_set
from mentor.rewards.reward_terms import files_of
from mentor.runs.base_model import usable_model
from mentor.runs.folder import stored_config
from mentor.runs.identity import content_hashes
from mentor.runs.model_folders import model_name, stage_of
from mentor.tasks.bfcl import answers_file

BLOCKS, BLOCK_BYTES = 16, 65536
WEIGHTS = ("*.safetensors", "*.bin", "parameters-*.pt")  # of models and checkpoints


@dataclass(frozen=True)
class Evaluation:
    """model: a local folder, a checkpoint or a hub name. folder: relative to `eval/`.

    config: what `claim` stores and compares. trained_on: the data set that the model's run trains on, also for the
    base; None if unknown.
    """

    model: Path | str
    model_name: str
    benchmark: str
    config: dict[str, Any]
    trained_on: str | None = None

    @property
    def folder(self) -> str:
        return f"{self.model_name}/{self.benchmark}"


def evaluations(config: Config, root: Path) -> list[Evaluation]:
    """List the evaluations of all models of the run, or of `model.path` and the models of the run made from it.

    Raises RunFolderError if there is no model.
    """
    path = config.model.path if config.model is not None else None
    models: list[Path | str] = [*run_models(root)]
    if path is not None:
        base = usable_model(path, "model.path")
        models = [base, *(model for model in run_models(root) if _made_from(model, base))]
    if not models:
        raise RunFolderError(
            f"{root} has no model yet: run `mentor stage=pretrain`, sft or rl first, or give model.path=<folder>"
        )
    return [
        Evaluation(model, model_name(model), name, _evaluation_config(config, model, name), trained_on(model, root))
        for model in models
        for name in config.benchmark
    ]


def run_models(root: Path) -> list[Path]:
    """List the `model` folders of a run in the order pretrain, sft, rl."""
    return [
        model
        for kind in ("pretrain", "sft", "rl")
        for model in sorted(root.glob(f"{kind}-*/model"))
        if (model / "config.json").is_file()
    ]


def trained_on(model: Path | str, root: Path) -> str | None:
    """Return the data set of the teacher's trajectories in the run that made the model, else in this run (`root`)."""
    runs = [root]
    if isinstance(model, Path) and (stage := stage_of(model)).name.startswith(("sft-", "rl-")):
        runs.insert(0, stage.parent)
    stored = next((found for run in runs if (found := stored_config(run / "rollout"))), None)
    if stored is None:
        return None
    return data_set(task_of(stored["task"]))


def task_of(stored: Mapping[str, Any]) -> TaskConfig:
    """Return stored task settings as of this version; keys of earlier ones are left out."""
    known = {entry.name for entry in fields(TaskConfig)}
    return build(TaskConfig, {key: value for key, value in stored.items() if key in known}, "task.")


def _made_from(model: Path, base: Path | str) -> bool:
    """Return whether the stage that made a model of the run had `base` as its model.path."""
    given = ((stored_config(model.parent) or {}).get("model") or {}).get("path")
    if given is None or isinstance(base, str):
        return given == base
    return Path(given).resolve() == base.resolve() != model.resolve()


def fingerprint(model: Path | str) -> str:
    """Hash the names, sizes and evenly spaced blocks of the weight files into 16 hexadecimal digits."""
    if isinstance(model, str):
        return model
    digest = hashlib.sha256()
    for path in sorted(path for kind in WEIGHTS for path in model.glob(kind)):
        size = path.stat().st_size
        digest.update(f"{path.name} {size}\n".encode())
        with path.open("rb") as file:
            for block in range(BLOCKS):
                file.seek(max(0, size - BLOCK_BYTES) * block // (BLOCKS - 1))
                digest.update(file.read(BLOCK_BYTES))
    return digest.hexdigest()[:16]


def _evaluation_config(config: Config, model: Path | str, benchmark: str) -> dict[str, Any]:
    values = dump(config)
    values["benchmark"] = {benchmark: values["benchmark"][benchmark]}
    values["model"] = {**values["model"], "path": model_name(model)}
    values["upstream"] = {
        "weights": fingerprint(model),
        **content_hashes(
            tools_file=config.tools.path if config.tools else None,
            schemas_file=config.tools.schemas if config.tools else None,
            **benchmark_files(config.benchmark[benchmark]),
        ),
    }
    return values


def benchmark_files(entry: BenchmarkConfig) -> dict[str, str | None]:
    """Return the files that a benchmark reads, by what they are; None for those that it does not have."""
    task = entry.task
    return {
        "task_file": task.path,
        "answers_file": str(answers_file(task.path)) if task.name == "bfcl" and task.path is not None else None,
        **files_of({"grader": entry.grader, **{f"term_{name}": term for name, term in entry.terms.items()}}),
    }
