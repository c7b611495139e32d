"""Compose commands with Hydra: schemas, overrides, pipeline steps, one-line errors. Imports Hydra, never torch."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, fields
from functools import cache
from typing import Any

from hydra import compose
from hydra.core.config_store import ConfigStore
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import Override
from hydra.errors import HydraException, MissingConfigException, OverrideParseException
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import MissingMandatoryValue, OmegaConfBaseException
from yaml import YAMLError  # type: ignore[import-untyped]

from mentor.checks import check, presets, suggestion
from mentor.config import (
    ALWAYS_READ,
    SECTIONS,
    STAGE_GROUPS,
    STAGES,
    TEACHERS,
    TRAINERS,
    BenchmarkConfig,
    Config,
    DeepSpeedConfig,
    PipelineStage,
    RewardConfig,
    RlTrainer,
    Section,
    load,
    new_name,
    only_read,
    refuse_renamed,
    schema_keys,
)
from mentor.errors import ConfigError, one_line
from mentor.readers import Verdicts, group_of, interpolated, judge_keys, merge, reads_part, refuse, refuse_unread

COMPOSE_ERRORS = (HydraException, OmegaConfBaseException, YAMLError)
"""What composing raises for bad input."""

NO_STEPS = ("pipeline", "chat", "serve")
"""Stages that are no step of a pipeline."""

OPEN_MAPS: dict[type[Section], tuple[str, ...]] = {RewardConfig: ("terms",), BenchmarkConfig: ("terms",)}
"""The fields whose names the user gives."""

SYNONYMS: dict[str, tuple[str, ...]] = {
    "lr": ("learning_rate",),
    "wd": ("weight_decay",),
    "warmup": ("warmup_steps",),
    "lr_scheduler_type": ("schedule",),
    "grad_clip": ("max_grad_norm",),
    "batch_size": ("prompts_per_step", "batch_tokens"),
    "max_steps": ("steps",),
    "total_training_steps": ("steps",),
    "num_train_epochs": ("epochs",),
    "num_iterations": ("epochs",),
    "num_generations": ("group_size",),
    "n": ("group_size", "samples"),
    "beta": ("kl_coef",),
    "kl": ("kl_coef",),
    "epsilon": ("clip_low",),
    "epsilon_high": ("clip_high",),
    "max_new_tokens": ("max_turn_tokens",),
    "max_completion_length": ("max_turn_tokens", "max_tokens"),
    "max_model_len": ("max_tokens",),
    "gpu_memory_utilization": ("gpu_memory_share",),
    "tensor_parallel_size": ("tensor_parallel",),
    "data_parallel_size": ("engines",),
    "max_num_seqs": ("max_running",),
    "zero_stage": ("deepspeed.stage",),
    "save_steps": ("save_every",),
    "save_freq": ("save_every",),
    "save_total_limit": ("keep",),
    "eval_steps": ("eval_every",),
    "test_freq": ("eval_every",),
    "metric_for_best_model": ("best_metric",),
    "early_stopping_patience": ("patience",),
}
"""What other trainers and engines (TRL, verl, transformers, vLLM) call a key, and its names here."""


@cache
def register_schemas() -> None:
    """Register the dataclasses as the schemas that the YAML presets name: `schema` and `schema/<stage>`.

    Once is enough for a process.
    """
    store = ConfigStore.instance()
    store.store(name="schema", node=Config)
    for group, section in SECTIONS.items():
        store.store(group=group, name="schema", node=_with_open_maps(section))
    for stage, stage_schema in STAGES.items():
        store.store(group="stage/schema", name=stage, node=stage_schema, package="stage")
    for stage, trainer_schema in TRAINERS.items():
        store.store(group="trainer/schema", name=stage, node=trainer_schema, package="trainer")
    for teacher, teacher_schema in TEACHERS.items():
        store.store(group="teacher/schema", name=teacher, node=teacher_schema, package="teacher")
    store.store(group="trainer/deepspeed", name="schema", node=DeepSpeedConfig)


def _with_open_maps(section: type[Section]) -> DictConfig:
    """A schema whose maps take new names without a `+`, as in `reward.terms.brief.weight=0.1`."""
    node: DictConfig = OmegaConf.structured(section)
    for name in OPEN_MAPS.get(section, ()):
        OmegaConf.set_struct(node[name], False)
    return node


def parse(overrides: Sequence[str]) -> list[Override]:
    """Parse `key=value` texts. Raises ConfigError on text that is no override, and for a key that has been renamed."""
    try:
        parsed = OverridesParser.create().parse_overrides(list(overrides))
    except COMPOSE_ERRORS as error:
        raise ConfigError(explain(error)) from None
    refuse_renamed(override.key_or_group for override in parsed)
    return parsed


def given_stage(overrides: Sequence[Override]) -> str | None:
    """Return the stage that the command line names; None without one (an experiment may set it) and for several."""
    for override in overrides:
        if override.key_or_group == "stage" and not override.is_sweep_override():
            return str(override.value())
    return None


def to_config(cfg: DictConfig) -> Config:
    """Check and freeze the config of a composed stage, without the groups it does not read."""
    stage = str(cfg.stage.name)
    kept = [key for key in (*ALWAYS_READ, *STAGE_GROUPS.get(stage, ())) if key in cfg]
    try:
        values = only_read({key: _plain(cfg, key) for key in kept}, stage)
    except OmegaConfBaseException as error:  # a missing value, or an interpolation of an unknown key
        raise ConfigError(explain(error)) from None
    trainer = OmegaConf.get_type(cfg, "trainer")
    if stage in TRAINERS and trainer is not TRAINERS[stage]:
        given = "no known preset" if values.get("trainer") is None else "a preset of another stage"
        raise ConfigError(f"`trainer=` names {given}; accepted: trainer={stage}, or a preset made from it")
    for group in STAGE_GROUPS[stage]:
        if group in values and not values[group]:
            raise ConfigError(f"`{group}` is empty, and stage={stage} reads it")
    for key in map(str, cfg):
        if key not in _top_level():
            raise ConfigError(f"`{key}` is not a key{suggestion(key, _top_level())}")
    config = load(values)
    check(config)
    return config


@dataclass(frozen=True)
class Composed:
    """A command, or one point of it. steps: of a pipeline, else None. verdicts: which of its keys are read."""

    config: Config
    steps: list[Config] | None
    verdicts: Verdicts


def compose_stage(
    cfg: DictConfig, overrides: Sequence[Override], sweep: bool = False, varied: frozenset[str] = frozenset()
) -> Composed:
    """Check a composed stage, and compose its steps where it is a pipeline.

    sweep, varied: as for `judge_keys`.
    """
    refuse_unread(overrides, str(cfg.stage.name))
    config = to_config(cfg)
    read_by_others = dict.fromkeys(interpolated(overrides))
    if not isinstance(config.stage, PipelineStage):
        return Composed(config, None, {**judge_keys(overrides, config, sweep, varied), **read_by_others})
    steps = compose_steps(config.stage, overrides)
    taken = zip(taken_by_steps(config.stage, overrides), steps, strict=True)
    verdicts = merge(judge_keys(passed, step, sweep, varied) for passed, step in taken)
    return Composed(config, steps, {**verdicts, **read_by_others})


def compose_steps(pipeline: PipelineStage, overrides: Sequence[Override]) -> list[Config]:
    """Compose every step from its own overrides and those of the command that it reads and does not set itself.

    Raises ConfigError for an override that no step takes, and for a step's own key that the step does not read where
    the command gives the steps.
    """
    taken = taken_by_steps(pipeline, overrides)
    given_here = any(override.key_or_group == "stage.steps" for override in overrides)
    configs = []
    for number, (step, passed) in enumerate(zip(pipeline.steps, taken, strict=True), 1):
        config = _compose_step(number, [*step, *(str(override.input_line) for override in passed)])
        if given_here:
            refuse(judge_keys(parse(step), config))
        configs.append(config)
    lines = {override.input_line for passed in taken for override in passed}
    for override in overrides:
        if override.input_line not in lines and group_of(override) not in ("stage", "hydra"):
            raise ConfigError(f"`{override.input_line}` is taken by no step of the pipeline: change stage.steps")
    return configs


def taken_by_steps(pipeline: PipelineStage, overrides: Sequence[Override]) -> list[list[Override]]:
    """Of each step the overrides of the command that go to it. Raises ConfigError for a step that is none."""
    taken = []
    for number, step in enumerate(pipeline.steps, 1):
        own = parse(step)
        stage = given_stage(own)
        if stage is None or stage not in STAGES or stage in NO_STEPS:
            accepted = ", ".join(name for name in STAGES if name not in NO_STEPS)
            raise ConfigError(f"`stage.steps` entry {number} needs stage=, got {step}; accepted: {accepted}")
        refuse_unread(own, stage)
        taken.append([override for override in overrides if _passes(override, own, stage)])
    return taken


def explain(error: BaseException) -> str:
    """Say in one line why composing failed: the key, what was given and what is accepted."""
    text = one_line(error)
    if isinstance(error, MissingConfigException) and error.missing_cfg_file and "/" in error.missing_cfg_file:
        group, _, name = error.missing_cfg_file.rpartition("/")
        hidden = ("schema", "pipeline") if group == "trainer" else ("schema",)
        options = [option for option in error.options or presets(group) if option not in hidden]
        return f"`{group}={name}` is not a preset{suggestion(name, options)}"
    if "must specify 'stage'" in text:
        return f"`stage` is not given; accepted: {', '.join(STAGES)}"
    if isinstance(error, MissingMandatoryValue) and error.full_key:
        return f"`{error.full_key}` is not set and has no default"
    if isinstance(error, OverrideParseException):
        return f"`{error.override}` is not an override; accepted: key=value, special characters as 'key=\"value\"'"
    ambiguous = re.match(r"Ambiguous value for argument '([^']+)'", text)
    if ambiguous:
        return f"`{ambiguous[1]}` has several values: -m sweeps over them, key=[a,b] is a list"
    unknown = re.match(r"Could not override '([^']+)'", text)
    if unknown:
        return f"`{unknown[1]}` {_not_a_key(unknown[1])}"
    in_preset = re.search(r"Key '[^']+' not in .* full_key: (\S+)", text)
    if in_preset and new_name(in_preset[1]) is not None:
        return f"{text.partition(':')[0]}: `{in_preset[1]}` has been renamed: use `{new_name(in_preset[1])}`"
    merging = re.match(r"Error merging override (.*)", text)
    if merging and error.__cause__ is not None:
        return f"`{merging[1]}` is not accepted: {str(error.__cause__).splitlines()[0]}"
    return text.partition(" See http")[0]


def _compose_step(number: int, overrides: list[str]) -> Config:
    try:
        return to_config(compose("config", overrides=overrides))
    except COMPOSE_ERRORS as error:
        raise ConfigError(f"stage.steps entry {number} ({' '.join(overrides)}): {explain(error)}") from None
    except ConfigError as error:
        raise ConfigError(f"stage.steps entry {number} ({' '.join(overrides)}): {error}") from None


def _passes(override: Override, own: Sequence[Override], stage: str) -> bool:
    """Whether an override of the command is passed to this step."""
    key, group = override.key_or_group, group_of(override)
    if key in {entry.key_or_group for entry in own} or group in ("stage", "hydra"):
        return False
    if key == "init":
        return stage in ("rl", "check") or (stage == "sft" and override.value() != "sft")
    if group == "trainer":
        below = re.split("[./]", key)[1:]  # nothing where a whole preset is chosen
        return stage in TRAINERS and bool(below) and below[0] in _trainer_keys(stage)
    return group in ALWAYS_READ or (group in STAGE_GROUPS[stage] and reads_part(override, stage))


def _trainer_keys(stage: str) -> set[str]:
    """List the keys and the nested groups of a stage's trainer: `trainer.steps` and `trainer/deepspeed`."""
    groups = {"algorithm"} if issubclass(TRAINERS[stage], RlTrainer) else set()
    return {entry.name for entry in fields(TRAINERS[stage])} | groups


def _plain(cfg: DictConfig, key: str) -> Any:
    value = cfg[key]
    return OmegaConf.to_container(value, resolve=True, throw_on_missing=True) if OmegaConf.is_config(value) else value


def _top_level() -> list[str]:
    return [*(entry.name for entry in fields(Config)), "experiment", "debug"]


def _not_a_key(key: str) -> str:
    beside = _keys_beside(key)
    if key in beside:
        return "is a key of other stages, not of this one"
    group, _, name = key.rpartition(".")
    meant = [full for word in SYNONYMS.get(name, ()) if (full := f"{group}.{word}") in beside]
    return f"is not a key; did you mean `{meant[0]}`?" if meant else f"is not a key{suggestion(key, beside)}"


def _keys_beside(key: str) -> list[str]:
    """List the keys of the group that a wrong dotted key names, else the top level."""
    group = key.split(".")[0]
    several: dict[str, list[type[Section]]] = {name: [schema] for name, schema in SECTIONS.items()}
    several |= {"stage": [*STAGES.values()], "teacher": [*TEACHERS.values()], "trainer": [TRAINERS["pipeline"]]}
    of_group = several.get(group, [])
    beside = dict.fromkeys(f"{group}.{name}" for schema in of_group for name in schema_keys(schema))
    return list(beside) or _top_level()
