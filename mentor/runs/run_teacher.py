"""The teacher of a run as its rollout asked it: `teacher` and `tools` of a command with stage.model=teacher."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from hydra import compose
from hydra.core.override_parser.types import Override
from omegaconf import DictConfig, OmegaConf

from mentor.compose import COMPOSE_ERRORS, explain
from mentor.config import RUN_TEACHER, TALKING, TEACHERS, TaskConfig, schema_keys
from mentor.errors import ConfigError, RunFolderError
from mentor.readers import group_of
from mentor.rewards.answer_formats import answer_format
from mentor.runs.as_trained import TAKEN
from mentor.runs.folder import stored_config


def split_teacher_keys(overrides: Sequence[Override], stage: str | None) -> tuple[list[Override], list[Override]]:
    """Split off the overrides of single teacher keys, which Hydra takes once the run says which teacher it has.

    Where the command chooses a teacher itself, and in stages that talk to none, nothing is split off.
    """
    chooses = any(override.key_or_group == "teacher" for override in overrides)
    if stage not in TALKING or chooses:
        return list(overrides), []
    kept = [override for override in overrides if group_of(override) != "teacher"]
    return kept, [override for override in overrides if group_of(override) == "teacher"]


def talks_to_teacher(cfg: DictConfig) -> bool:
    return cfg.stage.name in TALKING and cfg.stage.model == RUN_TEACHER


def with_run_teacher(cfg: DictConfig, overrides: Sequence[Override]) -> DictConfig:
    """Return the composed stage with the teacher and the tools of the run's rollout, where the command sets no other.

    overrides: of the whole command, those that were split off included. Raises RunFolderError where the run has no
    rollout to take a teacher from, ConfigError for a key that the teacher does not have.
    """
    root = Path(cfg.paths.outputs) / cfg.run
    stored = stored_config(root / "rollout")
    given = {str(override.key_or_group) for override in overrides}
    if "teacher" not in given:
        if stored is None:
            raise RunFolderError(
                f"`stage.model={RUN_TEACHER}` is that of the run's rollout, and {root} has none; accepted: with it "
                "teacher=model teacher.path=<folder>, or teacher=openai teacher.base_url=<address> teacher.model=<name>"
            )
        cfg = _composed(overrides, stored["teacher"]["name"])
        _set_left(cfg, "teacher", schema_keys(TEACHERS[cfg.teacher.name]), _as_asked(stored), given)
    if stored is not None:
        _set_left(cfg, "tools", TAKEN["tools"][1], stored["tools"], given)
    return cfg


def _composed(overrides: Iterable[Override], teacher: str) -> DictConfig:
    try:
        return compose("config", overrides=[*(str(entry.input_line) for entry in overrides), f"teacher={teacher}"])
    except COMPOSE_ERRORS as error:
        raise ConfigError(explain(error)) from None


def _as_asked(stored: Mapping[str, Any]) -> dict[str, Any]:
    """The stored teacher, with the answer format of the rollout's tasks in its instruction."""
    teacher = dict(stored["teacher"])
    if teacher.get("instruction"):
        asked = answer_format(stored["task"].get("answer_format", TaskConfig.answer_format)).request
        teacher["instruction"] = teacher["instruction"].replace("{answer_format}", asked)
    return teacher


def _set_left(
    cfg: DictConfig, group: str, keys: Iterable[str], stored: Mapping[str, Any], given: Collection[str]
) -> None:
    """Set the keys of a group that the command leaves as stored. keys: dotted, below the group."""
    for key in keys:
        full = f"{group}.{key}"
        if any(f"{full}.".startswith(f"{name}.") or name.startswith(f"{full}.") for name in given):
            continue
        value: Any = stored
        for name in key.split("."):
            value = value[name] if isinstance(value, Mapping) and name in value else _MISSING
        if value is not _MISSING:
            OmegaConf.update(cfg, full, value, force_add=True)  # a map takes new names


_MISSING = object()
