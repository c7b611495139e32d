"""What a run's model was trained with, so that whoever talks to it uses the same: its tools, chat format and limits."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import fields
from pathlib import Path
from typing import Any

from hydra.core.override_parser.types import Override
from omegaconf import DictConfig, OmegaConf

from mentor.config import ModelConfig, SamplerConfig, Section, ToolsConfig
from mentor.errors import RunFolderError
from mentor.runs.base_model import checked_model, usable_model
from mentor.runs.evaluations import run_models
from mentor.runs.folder import stored_config
from mentor.runs.model_folders import stage_of

TAKEN: dict[str, tuple[type[Section], tuple[str, ...]]] = {
    "tools": (ToolsConfig, tuple(entry.name for entry in fields(ToolsConfig) if entry.name != "workers")),
    "model": (
        ModelConfig,
        (
            *("dtype", "chat_template", "template_name", "question_template", "system_prompt", "enable_thinking"),
            *("think_history", "call_syntax", "end_of_turn", "uncertified"),
        ),
    ),
    "sampler": (
        SamplerConfig,
        (
            *("temperature", "top_p", "top_k", "max_turns", "max_turn_tokens", "max_thinking_tokens", "max_tokens"),
            *("max_invalid_turns", "max_result_tokens"),
        ),
    ),
}
"""By group: its schema, and the keys that decide what the model sees. Others are the machine's."""


def chosen_model(root: Path, name: str | None, path: str | None) -> Path | str:
    """Return the model to use: `path`, else that of the run's stage folder `name`, else the run's last one.

    root: of the run. Raises RunFolderError or InputError where it is not there.
    """
    if path is not None:
        return usable_model(path, "model.path")
    models = run_models(root)
    if name is not None:
        found = [model for model in models if model.parent.name == name]
        if not found:
            had = ", ".join(model.parent.name for model in models) or "none yet"
            raise RunFolderError(f"`stage.model={name}` is not a model of {root}; it has: {had}")
        return checked_model(found[0], f"stage.model={name}")
    if not models:
        raise RunFolderError(
            f"{root} has no model yet: run `mentor stage=pretrain`, sft or rl first, or give model.path=<folder>"
        )
    return models[-1]


def trained_with(model: Path | str) -> dict[str, dict[str, Any]]:
    """Read tools, chat format and limits from the config of the stage that made a model; nothing of another model.

    A stage that called no tools (sft, pretrain) takes the tools of its run's rollout.
    """
    if isinstance(model, str) or (stored := stored_config(stage := stage_of(model))) is None:
        return {}
    tools = stored if stored.get("tools") else stored_config(stage.parent / "rollout") or {}
    groups: Mapping[str, Any] = {**stored, "tools": tools.get("tools")}
    return {
        group: {key: groups[group][key] for key in keys if key in groups[group]}
        for group, (_, keys) in TAKEN.items()
        if groups.get(group)
    }


def use_trained(cfg: DictConfig, overrides: Sequence[Override]) -> None:
    """Set in a composed stage what its model was trained with, where the command sets nothing else.

    A command that chooses a preset of a group sets all of it. Raises as `chosen_model`.
    """
    model = chosen_model(Path(cfg.paths.outputs) / cfg.run, cfg.stage.model, cfg.model.path)
    given = {override.key_or_group for override in overrides}
    for group, values in trained_with(model).items():
        left = {key: value for key, value in values.items() if not {group, f"{group}.{key}"} & given}
        for key, value in left.items():
            OmegaConf.update(cfg, f"{group}.{key}", value)
