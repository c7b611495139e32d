"""Which keys of the command line a command reads, and the refusal of the others.

Two rules, both data. A stage reads the groups of `STAGE_GROUPS` (some under a condition, `GROUPS_READ_WHEN`), of some
only the keys in `READS_ONLY`, and the top-level keys of `TOP_LEVEL_READERS`. A key in `READ_WHEN` is read only under
some choices of other keys: `sampler.kv_cache_gib` with sampler=vllm. Any other key is read wherever its group is. A
pipeline or a sweep reads what any of its steps or points reads.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, Any

from mentor.config import (
    ALWAYS_READ,
    EVALUATING,
    READS_ONLY,
    RUN_TEACHER,
    SECTIONS,
    STAGE_GROUPS,
    TALKING,
    TOP_LEVEL_READERS,
    Config,
    JudgeConfig,
)
from mentor.errors import ConfigError
from mentor.reward_keys import asks_judge, guidance_terms

if TYPE_CHECKING:  # the help reads the table without Hydra
    from hydra.core.override_parser.types import Override

INTERPOLATION = re.compile(r"\$\{([\w.]+)\}")
SWEEP = "-m"  # stands among keys for the option: True in a sweep

Look = Callable[[str], Any]
"""The value of a dotted key; one that begins with a dot lies in the section of the key that is judged."""


@dataclass(frozen=True)
class Condition:
    """Under which choices a key is read. keys: what `holds` looks at. words: the choices, `{0}` for the section."""

    keys: tuple[str, ...]
    holds: Callable[[Look], bool]
    words: str

    def __and__(self, other: Condition) -> Condition:
        return self._joined(other, lambda look: self.holds(look) and other.holds(look), " and")

    def __or__(self, other: Condition) -> Condition:
        return self._joined(other, lambda look: self.holds(look) or other.holds(look), ", or")

    def _joined(self, other: Condition, holds: Callable[[Look], bool], word: str) -> Condition:
        return Condition((*self.keys, *other.keys), holds, f"{self.words}{word} {other.words}")


def one_of(key: str, *values: Any) -> Condition:
    shown = ["null" if value is None else str(value).lower() for value in values]
    words = f"{_said(key)}={' or '.join(filter(None, [', '.join(shown[:-1]), shown[-1]]))}"
    return Condition((key,), lambda look: look(key) in values, words)


def stage_in(*stages: str) -> Condition:
    return one_of("stage.name", *stages)


def stage_not_in(*stages: str) -> Condition:
    return stage_in(*(stage for stage in STAGE_GROUPS if stage not in (*stages, "pipeline")))


def above(key: str, low: float) -> Condition:
    return Condition((key,), lambda look: (look(key) or 0) > low, f"{_said(key)} above {low}")


def given(key: str) -> Condition:
    return Condition((key,), lambda look: look(key) is not None, _said(key))


def lists(key: str, *values: str) -> Condition:
    """Where a list holds one of the values."""
    words = f"{' or '.join(values)} in {_said(key)}"
    return Condition((key,), lambda look: any(value in look(key) for value in values), words)


def _said(key: str) -> str:
    """A key in a message: a group's name is its preset."""
    return ("{0}" if key.startswith(".") else "") + key.removesuffix(".name")


ALWAYS = Condition((), lambda look: True, "any choice")
IN_SWEEP = Condition((SWEEP,), lambda look: bool(look(SWEEP)), SWEEP)
NO_SWEEP = Condition((SWEEP,), lambda look: not look(SWEEP), f"no {SWEEP}")
SEVERAL_NODES = above("trainer.nodes", 1) & stage_not_in("check")
SAMPLES = (
    stage_in("rollout", "rl", "check", "serve")
    | above("stage.samples", 0)
    | above("trainer.eval_samples", 0)
    | stage_in("chat") & one_of("stage.greedy", False)
)
EVALUATES = given("trainer.eval_every")
TO_TEACHER = one_of("stage.model", RUN_TEACHER)
TO_STUDENT = Condition(
    ("stage.model",), lambda look: look("stage.model") != RUN_TEACHER, f"another stage.model than {RUN_TEACHER}"
)
IN_PROCESS = Condition(("teacher.name",), lambda look: look("teacher.name") != "openai", "a model in this process")
SANDBOXED = one_of(".name", "calculator", "python", "file", "row") & one_of(".trusted", False)
JUDGED = Condition(
    ("reward", "benchmark"),
    lambda look: asks_judge(look("reward"), look("benchmark") or {}),
    "a term or grader judge:<rubric>",
)
COMPARES_CALLS = one_of(".family", "project") & (above(".terms.match.weight", 0) | above(".terms.valid.weight", 0))
GUIDES = one_of(".family", "project") & Condition(
    (".terms",), lambda look: bool(guidance_terms(look(".terms") or {})), "a weight above 0 of a term of the calls"
)

PERTURBATIONS = tuple(
    f".perturb.{key}" for key in ("rename", "describe", "reorder", "distractors", "failure_rate", "missing")
)
PERTURBS = Condition(
    PERTURBATIONS,
    lambda look: any(look(key) not in (None, "none", False, 0) for key in PERTURBATIONS),
    "another key of {0}.perturb",
)
ROWS = one_of(".name", "gsm8k", "math", "multihop_qa", "rl_rows", "jsonl", "calls")
ROWS_OR_TRACES = one_of(".name", "gsm8k", "math", "multihop_qa", "rl_rows", "jsonl", "calls", "traces")
FILES = one_of(".name", "gsm8k", "math", "multihop_qa", "rl_rows", "jsonl", "calls", "bfcl", "traces")
TASK = {
    "path": FILES | stage_in("check"),
    "bad_rows": FILES,
    "license": stage_in("rollout", "check"),
    **dict.fromkeys(("columns.question", "columns.reference", "columns.calls"), ROWS),
    **dict.fromkeys(
        ("subset", "columns.answer", "columns.id", "columns.tools", "columns.system"),
        ROWS_OR_TRACES | stage_in("check"),
    ),
    "columns.messages": one_of(".name", "traces") | stage_in("check"),
    **dict.fromkeys(("size", "max_steps", "seed"), one_of(".name", "calculator")),
    "form": one_of(".name", "traces") | stage_in("check"),
    "placeholders": one_of(".name", "rl_rows"),
    "perturb.seed": PERTURBS,
}
TEACHER = {
    "alternative_share": one_of(".name", "oracle"),
    "choose": above(".samples", 1),
    **dict.fromkeys(("samples", "concurrency", "max_refused_in_a_row", "dry_run"), stage_in("rollout", "check")),
}
TOOLS = {
    "path": one_of(".name", "file", "search"),
    "top_k": one_of(".name", "search"),
    **dict.fromkeys(("server", "shared"), one_of(".name", "mcp")),
    "schemas": one_of(".name", "file"),
    **dict.fromkeys(("engine", "memory_mib", "load_timeout_s"), one_of(".name", "calculator", "python", "file", "row")),
    "trusted": one_of(".name", "file", "row"),
    "isolation_floor": SANDBOXED,
}
MODEL = {
    **dict.fromkeys(
        ("chat_template", "template_name", "call_syntax", "end_of_turn", "uncertified", "system_prompt"),
        stage_in("sft", "rl", "check", "eval", "chat", "serve", "parity"),
    ),
    **dict.fromkeys(
        (
            *("vocab_size", "hidden_size", "intermediate_size", "num_hidden_layers", "num_attention_heads"),
            *("num_key_value_heads", "head_dim", "tie_word_embeddings"),
        ),
        stage_in("pretrain", "check"),
    ),
    "license": stage_in("pretrain", "sft", "rl", "check"),
    # The limit of sampler.max_tokens is checked against it until the student has model files.
    "max_position_embeddings": stage_in("pretrain", "check") | (stage_in("rl", "eval") & one_of(".path", None)),
}
VLLM = one_of(".name", "vllm")
SAMPLER = {
    **dict.fromkeys(("temperature", "top_p", "top_k"), SAMPLES),
    "deterministic": stage_not_in("serve"),
    "kv_cache_gib": VLLM,
    "gpu_memory_share": VLLM & one_of(".placement", "colocated"),
    "engines": one_of(".placement", "separate"),
    "tensor_parallel": VLLM & one_of(".placement", "separate"),
}
REWARD = {
    **dict.fromkeys(
        (
            *("weights.correct", "weights.tool", "weights.valid", "floors.unfinished", "floors.no_answer"),
            *("terms", "grader", "max_ungraded"),
        ),
        one_of(".family", "project"),
    ),
    "gate": COMPARES_CALLS,
    "anneal": stage_in("rl", "check") & GUIDES,
    "anneal_until": stage_in("rl", "check") & GUIDES & one_of(".anneal", "group", "run"),
    "anneal_steps": stage_in("rl", "check") & GUIDES & one_of(".anneal", "run"),
    "wrong_scale": one_of(".family", "project")
    & above(".terms.match.weight", 0)
    & one_of(".terms.match.gate", "none", "group"),
}
DISTILLS = above(".coef", 0)
IN_LOSS = DISTILLS & one_of(".placement", "loss")
AT_ENDPOINT = DISTILLS & given(".teacher.base_url")
DISTILL = {
    **dict.fromkeys(("reward_coef", "placement", "teacher.path", "teacher.base_url"), DISTILLS),
    "discount": DISTILLS & one_of(".placement", "advantage"),
    **dict.fromkeys(("divergence", "top_k"), IN_LOSS),
    "jsd_beta": IN_LOSS & one_of(".divergence", "jsd"),
    **dict.fromkeys(("teacher.dtype", "teacher.offload"), DISTILLS & given(".teacher.path")),
    "teacher": AT_ENDPOINT,
}
MEASURES = one_of(".keep", "best") | given(".patience")
TRAINER = {
    "steps": one_of(".task_epochs", None),
    "decay_share": one_of(".schedule", "wsd"),
    **dict.fromkeys(("eval_limit", "eval_greedy", "eval_samples"), given(".eval_every")),
    "best_metric": MEASURES,
    "best_mode": MEASURES,
    **dict.fromkeys(("deepspeed.offload", "deepspeed.bucket_elements"), above(".deepspeed.stage", 0)),
    "lora.alpha": above(".lora.rank", 0),
    "lora.quantize": above(".lora.rank", 0),
    **dict.fromkeys(("kl_estimator", "kl_placement"), above(".kl_coef", 0)),
    "reference_offload": above(".kl_coef", 0) & one_of(".lora.rank", 0),
    **dict.fromkeys(("curriculum.rest_steps", "curriculum.window"), one_of(".curriculum.draw", "success")),
    "overlong_penalty": above(".overlong_buffer_tokens", 0),
}
STAGE = {
    "shyness_steps": above(".shyness", 0),
    "greedy": IN_PROCESS,
    "concurrency": one_of("teacher.name", "oracle", "annotated", "openai") | one_of("teacher.reexecute", True),
    **dict.fromkeys(("grid_base", "advantage", "normalize_std", "same_cosine", "same_flips"), given(".grid")),
}
LAUNCHER = {
    "name": Condition((SWEEP, ".name"), lambda look: look(SWEEP) or look(".name") == "local", SWEEP),
    "jobs": IN_SWEEP,
    "slurm": IN_SWEEP & one_of(".name", "slurm"),
    "slurm.nodes": IN_SWEEP & one_of(".name", "slurm") & SEVERAL_NODES,
    **dict.fromkeys(("node_rank", "master_addr", "master_port"), SEVERAL_NODES & NO_SWEEP),
    "stall_timeout_s": (above("trainer.num_processes", 1) | above("trainer.nodes", 1)) & stage_not_in("check"),
    "device_memory_gib": stage_in("check"),
}
TOP_LEVEL = {
    "run": stage_not_in("score"),
    "seed": stage_not_in("score", "report", "push"),
    "overwrite": stage_not_in("report", "check", "chat", "serve", "parity", "push"),
}

READ_WHEN: dict[str, Mapping[str, Condition]] = {
    "": TOP_LEVEL,
    "stage": STAGE,
    "task": TASK,
    "benchmark.*.task": TASK,
    "teacher": TEACHER,
    "teacher.sampler": SAMPLER,
    "tools": TOOLS,
    "model": MODEL,
    "sampler": SAMPLER,
    "reward": REWARD,
    "judge": {entry.name: JUDGED for entry in fields(JudgeConfig)},
    "distill": DISTILL,
    "trainer": TRAINER,
    "logger": {"wandb": lists(".backends", "wandb"), "project": lists(".backends", "wandb", "trackio", "mlflow")},
    "launcher": LAUNCHER,
    "paths": {"outputs": stage_not_in("score")},
}
"""By section (`*` for a benchmark's name): its keys that are read under some choices only. A key that names a section
stands for all of its keys."""

GROUPS_READ_WHEN: dict[tuple[str, str], Condition] = {
    **{(stage, group): EVALUATES for stage, groups in EVALUATING.items() for group in groups},
    **{(stage, "teacher"): TO_TEACHER for stage in TALKING},
    **{(stage, group): TO_STUDENT for stage in TALKING for group in ("model", "sampler")},
}
"""By stage and group: when the stage reads any key of the group, where it does not always."""


# --- groups and top-level keys ---------------------------------------------------------------------------------------


def group_of(override: Override) -> str:
    """`reward` of `reward=x`, `reward.weights.tool=1` and `reward/part@x=y`."""
    return re.split(r"[./@]", override.key_or_group)[0]


def refuse_unread(overrides: Sequence[Override], stage: str) -> None:
    """Raise ConfigError for an override of a group or top-level key that the stage does not read."""
    for override in overrides:
        key = group_of(override)
        readers = TOP_LEVEL_READERS.get(key)
        if readers is not None and stage not in readers:
            raise ConfigError(f"`{key}` is not read by stage={stage}; it is read by {', '.join(readers)}")
        only = READS_ONLY.get((stage, key))
        if only is not None and not reads_part(override, stage):
            accepted = ", ".join(f"{key}.{name}" for name in only)
            raise ConfigError(f"`{override.key_or_group}` is not read by stage={stage}; of {key} it reads {accepted}")
        if key in ALWAYS_READ or key == "hydra" or key in STAGE_GROUPS[stage] or stage == "pipeline":
            continue
        if key in SECTIONS or key == "trainer":
            groups = ", ".join(STAGE_GROUPS[stage]) or "stage.* only"
            raise ConfigError(f"`{key}` is not read by stage={stage}; it reads {groups}")


def reads_part(override: Override, stage: str) -> bool:
    """Whether a stage that reads only some keys of the override's group reads this one; True where it reads all."""
    _, _, key = str(override.key_or_group).partition(".")  # no key of a preset, which sets the name
    only = READS_ONLY.get((stage, group_of(override)))
    return only is None or (key or "name").split(".")[0] in only


# --- single keys -----------------------------------------------------------------------------------------------------


def condition_of(key: str) -> tuple[str, Condition] | None:
    """The section of a dotted key and under which choices it is read; None for a key that its group always reads."""
    parts = key.split(".")
    for pattern, table in READ_WHEN.items():
        names = pattern.split(".") if pattern else []
        if len(parts) > len(names) and all(name in ("*", part) for name, part in zip(names, parts, strict=False)):
            below = parts[len(names) :]
            for end in range(len(below), 0, -1):
                if condition := table.get(".".join(below[:end])):
                    return ".".join(parts[: len(names)]), condition
    return None


Verdicts = Mapping[str, str | None]
"""By key of the command line: None where the command reads it, else one line on what would."""


def judge_keys(
    overrides: Sequence[Override], config: Config, sweep: bool = False, varied: frozenset[str] = frozenset()
) -> Verdicts:
    """Say of every key that the overrides set whether the stage of `config` reads it.

    sweep: the command has -m. varied: groups whose values are yet to be chosen; what depends on them counts as read.
    """
    verdicts: dict[str, str | None] = {}
    for override in overrides:
        for key in _keys(override):
            section, condition = condition_of(key) or ("", ALWAYS)
            of_group = GROUPS_READ_WHEN.get((config.stage.name, group_of(override)), ALWAYS)
            names = (*of_group.keys, *condition.keys)
            full = {name: section + name if name.startswith(".") else name for name in names}

            def look(name: str, full: Mapping[str, str] = full) -> Any:
                return sweep if name == SWEEP else _value(config, full[name])

            is_open = any(name.split(".")[0] in varied for name in full.values())
            failing = [] if is_open else [each for each in (of_group, condition) if not each.holds(look)]
            words = " and ".join(each.words.format(section) for each in failing)
            shown = key.removesuffix(".name")
            verdicts[key] = f"`{shown}` is read with {words} only" if failing else None
    return verdicts


def interpolated(overrides: Sequence[Override]) -> set[str]:
    """The keys that values of the command line refer to, as `seed` in `stage.output=scores-${seed}.jsonl`."""
    return {key for override in overrides for key in INTERPOLATION.findall(str(override.input_line))}


def merge(several: Iterable[Verdicts]) -> Verdicts:
    """The verdicts of a command of several steps or points: a key is read where any of them reads it."""
    merged: dict[str, str | None] = {}
    for verdicts in several:
        for key, verdict in verdicts.items():
            merged[key] = verdict and merged.get(key, verdict)
    return merged


def refuse(verdicts: Verdicts) -> None:
    """Raise ConfigError for the first key that nothing reads."""
    for verdict in verdicts.values():
        if verdict is not None:
            raise ConfigError(verdict)


def _keys(override: Override) -> Iterator[str]:
    """The dotted keys an override sets: itself, or those of its mapping. A preset is the key `name` of its group."""
    key = str(override.key_or_group)
    if "/" in key or "@" in key:
        return
    value = None if override.is_sweep_override() or override.is_delete() else override.value()
    if isinstance(value, dict):
        yield from _flat(key, value)
    else:
        yield f"{key}.name" if key in SECTIONS and key != "benchmark" else key


def _flat(key: str, value: Any) -> Iterator[str]:
    if isinstance(value, dict) and value:
        for name, below in value.items():
            yield from _flat(f"{key}.{name}", below)
    else:
        yield key


def _value(config: Config, key: str) -> Any:
    """None where the stage has no such section or key."""
    found: Any = config
    for name in key.split("."):
        found = found.get(name) if isinstance(found, Mapping) else getattr(found, name, None)
    return found
