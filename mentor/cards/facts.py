"""What a run's files say about one of its models: where it is from, what it was trained on and how, and its results."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

from mentor.chat.certificate import Certificate, stored_certificate
from mentor.config import load
from mentor.errors import RunFolderError
from mentor.evaluation.domains import data_set
from mentor.runs.as_trained import TAKEN, trained_with
from mentor.runs.base_model import HUB_NAME, base_model
from mentor.runs.evaluations import fingerprint, task_of
from mentor.runs.folder import stored_config
from mentor.runs.identity import config_hash, identity
from mentor.runs.model_folders import as_checkpoint, model_name, stage_of
from mentor.runs.provenance import read_summary

NOT_STATED = "not stated"
BY_ITSELF = ("micro_batch_tokens", "save_every", "nodes", "num_processes", "gradient_checkpointing", "share_prefixes")
"""Keys of the trainer that spread the work and change nothing."""


@dataclass(frozen=True)
class CardFacts:
    """One model. stage: which made it. step: of a checkpoint. chain: what it was trained from, nearest first.

    config, summary: of the stage; the summary is empty while it runs. rollout: (config, summary) of the teacher's.
    hub_base: the base's name on the Hub. setting: keys of `mentor` that differ from their defaults, which tools, chat
    format and limits are used as in training with. results: rows of the evaluations of these weights.
    """

    name: str
    stage: str
    step: int | None
    chain: list[str]
    hub_base: str | None
    config: Mapping[str, Any]
    summary: Mapping[str, Any]
    rollout: tuple[Mapping[str, Any], Mapping[str, Any]] | None
    certificate: Certificate | None
    setting: list[str]
    results: list[Mapping[str, Any]]

    @property
    def hash(self) -> str:
        return config_hash(identity(self.config))

    @property
    def license(self) -> str | None:
        given: str | None = (self.config.get("model") or {}).get("license")
        return given

    @property
    def trainer(self) -> dict[str, Any]:
        return {key: value for key, value in self.config["trainer"].items() if key not in BY_ITSELF}

    @property
    def hub_data(self) -> str | None:
        """The name of the tasks' data set on the Hub."""
        path = self.rollout[0]["task"].get("path") if self.rollout and self.stage != "pretrain" else None
        return path if path and HUB_NAME.fullmatch(path) and not Path(path).exists() else None

    @property
    def data(self) -> dict[str, str]:
        """The data by what the card calls it; empty without a teacher's rollout."""
        own = self.summary.get("counts", {})
        if self.stage == "pretrain":
            return {"data": f"{own['conversations']} generated conversations with tools"} if own else {}
        if self.rollout is None:
            return {}
        config, summary = self.rollout
        task, counts = config["task"], summary.get("counts", {})
        name = self.hub_data or data_set(task_of(task))
        return {
            "tasks": f"{name}, {counts.get('tasks', '?')} tasks of split {task['split']}",
            "licence of the tasks": task.get("license") or NOT_STATED,
            "teacher": _teacher(config["teacher"]),
            "trajectories of the teacher": f"{counts.get('verified', '?')} verified",
            "used": f"{own['trajectories']} trajectories"
            if "trajectories" in own
            else f"the questions of {own['tasks']} tasks, and the teacher's calls as far as the reward compares them"
            if "tasks" in own
            else "the stage has not said yet",
        }


def read_facts(model: Path) -> CardFacts:
    """Read about the model in a folder `model/` of a stage or a checkpoint.

    Raises RunFolderError where no stage made it.
    """
    stage = stage_of(model)
    config = stored_config(stage)
    if config is None:
        raise RunFolderError(f"{stage} has no config.yaml, so no stage made {model}")
    root = run_of(stage)
    checkpoint = as_checkpoint(model)
    summary = read_summary(stage) or {}
    chain = list(_chain(stage, config, summary, root))
    rollout = stored_config(root / "rollout")
    return CardFacts(
        name=model_name(model),
        stage=config["stage"]["name"],
        step=int(checkpoint.name.removeprefix("step-")) if checkpoint else None,
        chain=[name for name, _ in chain],
        hub_base=next((name for name, is_hub in chain if is_hub), None),
        config=config,
        summary=summary if summary.get("status") == "done" else {},
        rollout=(rollout, read_summary(root / "rollout") or {}) if rollout else None,
        certificate=stored_certificate(model),
        setting=list(_setting(model)),
        results=list(_results(model, (stage.parent, root))),
    )


def run_of(stage: Path) -> Path:
    """Return the folder of the run whose rollout a stage was trained on: a point of a sweep reads that of the sweep."""
    places = [stage.parent, *([stage.parents[3]] if stage.parents[2].name == "sweeps" else [])]
    return next((place for place in places if (place / "rollout").is_dir()), places[-1])


def _chain(
    stage: Path, config: Mapping[str, Any], summary: Mapping[str, Any], root: Path
) -> Iterator[tuple[str, bool]]:
    """Yield what a stage started from, then what that was made from: a name, and whether it is one on the Hub."""
    seen = {stage}
    while config["stage"]["name"] in ("sft", "rl"):
        base = (summary.get("counts") or {}).get("base") or str(base_model(load(config), root))
        is_hub = not Path(base).exists() and HUB_NAME.fullmatch(base) is not None
        yield (base if is_hub else model_name(Path(base))), is_hub
        stage = stage_of(Path(base))
        found = None if is_hub or stage in seen else stored_config(stage)
        if found is None:
            return
        seen.add(stage)
        config, summary, root = found, read_summary(stage) or {}, run_of(stage)


def _teacher(config: Mapping[str, Any]) -> str:
    named = config.get("model") or config.get("path")
    return f"{config['name']}: {model_name(named)}" if named else str(config["name"])


def _setting(model: Path) -> Iterator[str]:
    """Yield the overrides that make `mentor` use a model as it was trained."""
    for group, values in trained_with(model).items():
        schema, _ = TAKEN[group]
        defaults = {entry.name: entry.default for entry in fields(schema)}
        for key, value in values.items():
            if key == "name" and group == "tools":
                yield f"tools={value}"
            elif key in defaults and value != defaults[key] and key != "name":
                given = Path(value).name if key in ("path", "schemas", "chat_template") and value else value
                yield f"{group}.{key}={given if not isinstance(given, str) else json.dumps(given, ensure_ascii=False)}"


def _results(model: Path, roots: tuple[Path, ...]) -> Iterator[Mapping[str, Any]]:
    """Yield the rows of finished evaluations of the weights that the model has now."""
    weights = fingerprint(as_checkpoint(model) or model)
    for root in dict.fromkeys(roots):
        for folder in sorted((root / "eval" / model_name(model)).glob("*")):
            stored, summary = stored_config(folder), read_summary(folder)
            if stored is None or summary is None or summary["status"] != "done":
                continue
            if (stored.get("upstream") or {}).get("weights") == weights:
                for row in summary["results"]:
                    yield {"benchmark": summary["benchmark"], **row}
