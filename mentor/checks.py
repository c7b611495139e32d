"""What a composed config must satisfy beyond its types: accepted words, ranges, and combinations that make sense.

Called before anything is written or started. It checks that files exist and does not read them.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Mapping
from dataclasses import Field, asdict, fields
from difflib import get_close_matches
from ipaddress import ip_address
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from mentor.conf_dir import conf_dir
from mentor.config import (
    TALKING,
    Config,
    DistillConfig,
    DistillTeacher,
    EvalStage,
    JudgeConfig,
    ModelTeacher,
    OpenaiTeacher,
    PipelineStage,
    PretrainStage,
    PushStage,
    RlTrainer,
    RolloutStage,
    SamplerConfig,
    ScaledTrainer,
    ScoreStage,
    Section,
    ServeStage,
    TaskConfig,
    TeacherConfig,
)
from mentor.errors import ConfigError, InputError
from mentor.reward_keys import asks_judge
from mentor.rewards import check_settings, described_reward, settings_of
from mentor.rewards.answer_formats import answer_format
from mentor.rewards.reward_terms import check_own, read_sources
from mentor.rewards.weight_grid import grid_points

MISSING = "???"
FOLDER_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._=,+-]*")
DATA_SET = r"[^\s+:]+"
DOMAIN = re.compile(rf"id|ood|unknown|id:{DATA_SET}(\+{DATA_SET})*")
SILENT_TEACHERS = {
    "oracle": "executes the program behind a generated task",
    "annotated": "executes the worked answers in rows",
    "traces": "has said what its stored conversations hold",
}
FILE_TASKS = ("jsonl", "calls", "bfcl", "rl_rows", "math", "multihop_qa", "traces")


def check(config: Config) -> None:
    """Raise ConfigError with one line naming the key, what was given and what is accepted."""
    for key, entry, value in _leaves(config):
        if value != MISSING:  # a key of a group that the stage reads in part; composing refuses the others
            _check_leaf(key, entry, value)
    for key in ("run", "name"):
        value = getattr(config, key)
        if value is not None and not FOLDER_NAME.fullmatch(value):
            raise ConfigError(f"`{key}={value}` names a folder: letters, digits and . _ = , + - are accepted")
    if config.reward is not None:
        check_settings(asdict(config.reward))
    _check_data(config)
    _check_perturb(config)
    _check_model(config)
    _check_training(config)
    _check_distillation(config)
    _check_evaluation(config)
    _check_engines(config)
    _check_stage(config)


def suggestion(given: str, accepted: list[str]) -> str:
    """Return `; did you mean x?` when something accepted is near, else the whole list."""
    near = get_close_matches(given, accepted, n=1, cutoff=0.6)
    return f"; did you mean `{near[0]}`?" if near else f"; accepted: {', '.join(accepted)}"


def presets(group: str) -> list[str]:
    """List the shipped presets of a group, by file name."""
    return sorted(path.stem for path in (conf_dir() / group).glob("*.yaml"))


def _leaves(section: Section, prefix: str = "") -> Iterator[tuple[str, Field[Any], Any]]:
    for entry in fields(section):
        value = getattr(section, entry.name)
        below: Mapping[Any, Any] = value if isinstance(value, Mapping) else {None: value}
        for name, item in below.items():
            key = prefix + entry.name + ("" if name is None else f".{name}")
            if isinstance(item, Section):
                yield from _leaves(item, key + ".")
            else:
                yield key, entry, item


def _check_leaf(key: str, entry: Field[Any], value: Any) -> None:
    choices = entry.metadata.get("choices")
    own = entry.metadata.get("own") and ":" in str(value)
    for each in value if choices and isinstance(value, list | tuple) else [value]:
        if choices and each not in choices and not own:
            hint = suggestion(str(each), list(choices))
            raise ConfigError(f"`{key}={each}` is not accepted{hint}")
    low, high, word = (entry.metadata.get(name) for name in ("low", "high", "word"))
    if word is not None and value != word and type(value) is not int:
        raise ConfigError(f"`{key}={value}` is not accepted; accepted: {word}, or a whole number from {low}")
    if value in (None, word) or (low is None and high is None):
        return
    fits = math.isfinite(value) and (low is None or value >= low) and (high is None or value <= high)
    if not fits:
        accepted = f"{low} or more" if high is None else f"{low} to {high}"
        raise ConfigError(f"`{key}={value}` is out of range; accepted: {accepted}")


def _check_answer_format(key: str, task: TaskConfig) -> None:
    try:
        answer_format(task.answer_format)
    except InputError as error:
        raise ConfigError(str(error).replace("task.", f"{key}.", 1)) from None


def _check_placeholders(key: str, task: TaskConfig) -> None:
    for pair in task.placeholders:
        if not pair.partition("=")[0] or "=" not in pair:
            raise ConfigError(f"`{key}.placeholders` has {pair!r}; accepted: text=replacement")


def _check_data(config: Config) -> None:
    task, teacher, tools = config.task, config.teacher, config.tools
    solving = config.stage.name == "rollout"
    if task is not None and task.name in FILE_TASKS and task.path is None and solving:
        raise ConfigError(f"`task.path` is not set: task={task.name} reads rows, task.path=<file, folder or Hub name>")
    if task is not None:
        _check_placeholders("task", task)
        _check_answer_format("task", task)
    if task is not None and task.data_set is not None and not re.fullmatch(DATA_SET, task.data_set):
        raise ConfigError(f"`task.data_set={task.data_set}` is not accepted; accepted: a name without spaces, + and :")
    if task is not None and teacher is not None and solving:
        if (task.name == "traces") != (teacher.name == "traces"):
            raise ConfigError(
                f"`teacher.name={teacher.name}` does not go with task.name={task.name}: traces are a teacher's work; "
                "accepted: teacher=traces, which chooses task=traces, or neither"
            )
        if teacher.name == "oracle" and task.name != "calculator":
            raise ConfigError(
                f"`teacher.name=oracle` solves generated tasks only, got task.name={task.name}; use task=calculator"
            )
        if teacher.name == "annotated" and task.name == "calculator":
            raise ConfigError(
                "`teacher.name=annotated` needs worked answers, got task.name=calculator; use task=gsm8k or jsonl"
            )
    if isinstance(teacher, OpenaiTeacher):
        _check_endpoint("teacher", "teacher=openai", teacher)
    if config.judge is not None and asks_judge(config.reward, config.benchmark):
        _check_endpoint("judge", "a term or grader judge:<rubric>", config.judge)
    if isinstance(teacher, ModelTeacher):
        _check_model_teacher(teacher)
    if tools is None:
        return
    wanted = {
        "file": ("path", "your tools.py"),
        "search": ("path", "passages"),
        "mcp": ("server", "command line or URL"),
    }
    for key in ("path", "server"):
        readers = [name for name, (needed, _) in wanted.items() if needed == key]
        value = getattr(tools, key)
        if value is None and tools.name in readers:
            what = wanted[tools.name][1]
            raise ConfigError(f"`tools.{key}` is not set: tools={tools.name} reads {what}, tools.{key}=<{what}>")
    if tools.path is not None and not Path(tools.path).is_file():
        raise ConfigError(f"`tools.path={tools.path}` is not a file")


def _check_perturb(config: Config) -> None:
    """Refuse a missing tool where no other path to a result is known."""
    tasks = {f"benchmark.{name}.task": benchmark.task for name, benchmark in config.benchmark.items()}
    if config.task is not None:
        tasks["task"] = config.task
    for key, task in tasks.items():
        if task.perturb.missing and config.tools is not None and config.tools.name != "calculator":
            raise ConfigError(
                f"`{key}.perturb.missing=true` does not go with tools={config.tools.name}: other paths are known for "
                "the calculator's tools; accepted: tools=calculator, or false"
            )


def _check_endpoint(section: str, who: str, given: OpenaiTeacher | JudgeConfig | DistillTeacher) -> None:
    """section: of the configuration. who: asks the endpoint."""
    for key, example in (("base_url", "http://localhost:8000/v1"), ("model", "<its name at the endpoint>")):
        if getattr(given, key) is None:
            raise ConfigError(f"`{section}.{key}` is not set: {who} asks an endpoint, {section}.{key}={example}")
    url = urlsplit(given.base_url or "")
    if url.scheme not in ("http", "https") or not url.hostname:
        raise ConfigError(f"`{section}.base_url={given.base_url}` is no address; accepted: http://... or https://...")
    if "@" in url.netloc:
        raise ConfigError(f"`{section}.base_url` holds a password, which would be stored; use {section}.api_key_env")
    prices = [name for name in ("input_price", "output_price") if hasattr(given, name)]
    if given.max_cost is not None and not any(getattr(given, name) for name in prices):
        needed = " or ".join(f"{section}.{name}" for name in prices)
        raise ConfigError(f"`{section}.max_cost={given.max_cost}` needs {needed} above 0")


def _check_model_teacher(teacher: ModelTeacher) -> None:
    if teacher.path is None:
        raise ConfigError("`teacher.path` is not set: teacher=model loads a model folder, teacher.path=<folder>")
    if "{question}" not in teacher.question_template:
        raise ConfigError(f"`teacher.question_template={teacher.question_template!r}` lacks {{question}}")
    _check_chat_template("teacher", teacher.chat_template)
    limits = teacher.sampler
    if limits.max_turn_tokens > limits.max_tokens:
        raise ConfigError(
            f"`teacher.sampler.max_turn_tokens={limits.max_turn_tokens}` is more than "
            f"teacher.sampler.max_tokens={limits.max_tokens}"
        )
    _check_thinking("teacher.sampler", limits)


def _check_model(config: Config) -> None:
    model, sampler = config.model, config.sampler
    if model is None:
        return
    if "{question}" not in model.question_template:
        raise ConfigError(f"`model.question_template={model.question_template!r}` lacks {{question}}")
    _check_chat_template("model", model.chat_template)
    if model.call_syntax is not None:
        _check_call_syntax(model.call_syntax)
    for key, divisor in (("hidden_size", "num_attention_heads"), ("num_attention_heads", "num_key_value_heads")):
        if getattr(model, key) % getattr(model, divisor):
            raise ConfigError(
                f"`model.{key}={getattr(model, key)}` is not a multiple of model.{divisor}={getattr(model, divisor)}"
            )
    if sampler is not None and model.path is None and sampler.max_tokens > model.max_position_embeddings:
        raise ConfigError(
            f"`sampler.max_tokens={sampler.max_tokens}` is more than "
            f"model.max_position_embeddings={model.max_position_embeddings}"
        )


def _check_thinking(section: str, limits: SamplerConfig) -> None:
    """Refuse a bound of the thinking that leaves a turn no token after it."""
    if limits.max_thinking_tokens is not None and limits.max_thinking_tokens >= limits.max_turn_tokens:
        raise ConfigError(
            f"`{section}.max_thinking_tokens={limits.max_thinking_tokens}` leaves nothing of "
            f"{section}.max_turn_tokens={limits.max_turn_tokens} for what follows; accepted: less"
        )


def _check_chat_template(section: str, given: str | None) -> None:
    from mentor.chat.templates import template_file

    if given is not None:
        try:
            template_file(given, f"{section}.chat_template")
        except InputError as error:
            raise ConfigError(str(error)) from error


def _check_call_syntax(name: str) -> None:
    from mentor.chat.syntax import load_syntax

    if name.endswith(".py") and Path(name).is_file():
        return  # a parser of the user's own runs in the stage alone
    try:
        load_syntax(name)
    except InputError as error:
        raise ConfigError(str(error)) from error


def _check_training(config: Config) -> None:
    trainer, sampler, stage = config.trainer, config.sampler, config.stage.name
    if sampler is not None and sampler.max_turn_tokens > sampler.max_tokens:
        raise ConfigError(
            f"`sampler.max_turn_tokens={sampler.max_turn_tokens}` is more than sampler.max_tokens={sampler.max_tokens}"
        )
    if sampler is not None:
        _check_thinking("sampler", sampler)
    if stage in ("rl", "check") and sampler is not None and sampler.top_p != 1 and sampler.top_k is None:
        raise ConfigError(
            f"`sampler.top_p={sampler.top_p}` alone keeps any number of tokens, which training has to remember; "
            "accepted: 1, or with it sampler.top_k"
        )
    if stage == "sft" and config.init == "sft" and config.name is None:
        raise ConfigError("`init=sft` is where stage=sft ends; accepted: base or a model folder, or a name= of its own")
    by_epochs = isinstance(trainer, RlTrainer) and trainer.task_epochs is not None  # so the steps are not known yet
    if trainer is not None and not by_epochs and trainer.warmup_steps > trainer.optimizer_steps:
        raise ConfigError(
            f"`trainer.warmup_steps={trainer.warmup_steps}` is more than the {trainer.optimizer_steps} optimiser steps"
        )
    if trainer is not None and not (len(trainer.betas) == 2 and all(0 <= beta < 1 for beta in trainer.betas)):
        raise ConfigError(f"`trainer.betas={trainer.betas}` is not accepted; accepted: two numbers from 0 to below 1")
    if isinstance(trainer, RlTrainer) and trainer.minibatches > trainer.prompts_per_step * trainer.group_size:
        raise ConfigError(
            f"`trainer.minibatches={trainer.minibatches}` is more than the "
            f"{trainer.prompts_per_step * trainer.group_size} trajectories of a step"
        )
    if isinstance(trainer, RlTrainer) and trainer.kl_placement == "reward" and not trainer.kl_coef:
        raise ConfigError("`trainer.kl_placement=reward` places nothing with trainer.kl_coef=0; accepted: more than 0")
    if isinstance(trainer, RlTrainer) and sampler is not None and trainer.overlong_buffer_tokens >= sampler.max_tokens:
        raise ConfigError(
            f"`trainer.overlong_buffer_tokens={trainer.overlong_buffer_tokens}` is the last part of "
            f"sampler.max_tokens={sampler.max_tokens}; accepted: less than that"
        )

    if isinstance(trainer, RlTrainer) and trainer.mask_cut and trainer.kl_placement == "reward":
        raise ConfigError(
            "`trainer.mask_cut=true` with trainer.kl_placement=reward would compare rewards with and without KL; "
            "accepted: trainer.kl_placement=loss"
        )
    if isinstance(trainer, RlTrainer):
        _check_credit(trainer)
    if isinstance(trainer, RlTrainer) and trainer.old_logprobs == "sampler":
        _check_old_logprobs(trainer, config.model.dtype if config.model is not None else "float32")


def _check_credit(trainer: RlTrainer) -> None:
    """Check what normalising each reward term, and crediting each turn, need."""
    if trainer.aggregation == "normalize_then_sum":
        if not trainer.normalize_std:
            raise ConfigError(
                "`trainer.aggregation=normalize_then_sum` divides each term by its deviation, which "
                "trainer.normalize_std=false turns off; accepted: trainer.normalize_std=true, or sum_then_normalize"
            )
        if trainer.kl_placement == "reward":
            raise ConfigError(
                "`trainer.aggregation=normalize_then_sum` would divide the KL by its own deviation, as a term of the "
                "reward; accepted: trainer.kl_placement=loss, or sum_then_normalize"
            )
    if trainer.credit == "turn" and trainer.ratio == "sequence":
        raise ConfigError(
            "`trainer.credit=turn` with trainer.ratio=sequence gives all turns the gradient of their mean; accepted: "
            "trainer.ratio=token"
        )


def _check_distillation(config: Config) -> None:
    """Check that there is one teacher, and nothing that distillation does not go with."""
    distill, trainer, sampler = config.distill, config.trainer, config.sampler
    if not isinstance(distill, DistillConfig) or not distill.coef:
        return
    who, teacher = f"distill.coef={distill.coef:g}", distill.teacher
    if teacher.path is not None and teacher.base_url is not None:
        raise ConfigError("`distill.teacher.path` and distill.teacher.base_url are two teachers; accepted: one of them")
    if teacher.path is None and teacher.base_url is None:
        raise ConfigError(
            f"`distill.teacher.path` is not set: {who} needs a teacher, distill.teacher.path=<folder or hub name>, or "
            "distill.teacher.base_url=<address of a vLLM server>"
        )
    if teacher.base_url is not None:
        _check_endpoint("distill.teacher", who, teacher)
    if distill.placement == "advantage" and distill.divergence != "reverse_kl":
        raise ConfigError(
            f"`distill.divergence={distill.divergence}` is of whole distributions; accepted: distill.placement=loss"
        )
    accepted = "accepted with distill.coef above 0"
    if isinstance(trainer, RlTrainer) and trainer.max_sampling_rounds > 1:
        raise ConfigError(
            f"`trainer.max_sampling_rounds={trainer.max_sampling_rounds}` looks for groups with a signal, and a "
            f"teacher gives every group one; {accepted}: 1"
        )
    if isinstance(trainer, RlTrainer) and trainer.kl_placement == "reward":
        raise ConfigError(
            "`trainer.kl_placement=reward` would be all that tells rewards of a zero-variance group apart, which a "
            f"teacher trains on too; {accepted}: loss"
        )
    if sampler is not None and sampler.top_k is not None:
        raise ConfigError(
            f"`sampler.top_k={sampler.top_k}` cuts the distribution that a teacher's is compared with; {accepted}: null"
        )


def _check_old_logprobs(trainer: RlTrainer, dtype: str) -> None:
    """Check what needs the policy's own logprobs of the rollout."""
    accepted = "accepted: trainer.old_logprobs=policy"
    if trainer.importance_cap is not None:
        raise ConfigError(
            f"`trainer.importance_cap={trainer.importance_cap:g}` corrects old logprobs that the policy recomputes; "
            f"{accepted}, or null"
        )
    if trainer.ratio == "sequence" and dtype == "bfloat16":
        raise ConfigError(
            "`trainer.ratio=sequence` with model.dtype=bfloat16 and trainer.old_logprobs=sampler clips the difference "
            f"of two engines, which is above its bounds before any update; {accepted}"
        )


def _check_evaluation(config: Config) -> None:
    """Check what a training stage evaluates, keeps and ends by."""
    trainer = config.trainer
    if not isinstance(trainer, ScaledTrainer):
        return
    if trainer.keep not in ("best", "last", "all") and not (trainer.keep.isdecimal() and int(trainer.keep)):
        raise ConfigError(
            f"`trainer.keep={trainer.keep}` is not accepted; accepted: best, last, all, or how many, from 1"
        )
    if config.benchmark:  # as it has with trainer.eval_every alone
        _check_benchmarks(config, with_tools=[True])
        if not trainer.eval_greedy and not trainer.eval_samples:
            raise ConfigError("`trainer.eval_samples=0` with trainer.eval_greedy=false evaluates nothing")
    if trainer.keep != "best" and trainer.patience is None:
        return
    given = trainer.best_metric
    key = "trainer.keep=best" if trainer.keep == "best" else f"trainer.patience={trainer.patience}"
    if given is None and trainer.eval_every is None:
        raise ConfigError(
            f"`{key}` needs a number to compare; accepted: with it trainer.eval_every, or trainer.best_metric=<key of "
            "metrics.jsonl>"
        )
    if given is not None and given.startswith("eval/") and given.split("/")[1] not in config.benchmark:
        named = ", ".join(f"eval/{name}/accuracy" for name in config.benchmark) or "trainer.eval_every with it"
        raise ConfigError(f"`trainer.best_metric={given}` is of no benchmark that is evaluated; accepted: {named}, ...")


def _check_engines(config: Config) -> None:
    """Check what DeepSpeed, vLLM and several ranks need of each other."""
    trainer, sampler = config.trainer, config.sampler
    if isinstance(trainer, ScaledTrainer):
        zero = trainer.deepspeed
        wanted = config.launcher.slurm.nodes
        if config.launcher.name == "slurm" and trainer.nodes not in (1, wanted):
            raise ConfigError(
                f"`trainer.nodes={trainer.nodes}` does not go with launcher.slurm.nodes={wanted}; accepted: the same "
                "number of nodes"
            )
        if zero.stage and trainer.optimizer != "adamw":
            raise ConfigError(
                f"`trainer.optimizer={trainer.optimizer}` needs whole matrices, which DeepSpeed partitions; "
                "accepted: adamw"
            )
        if zero.offload and not zero.stage:
            raise ConfigError(
                "`trainer.deepspeed.offload=true` needs DeepSpeed; accepted: trainer.deepspeed.stage=1 to 3"
            )
        if trainer.lora.quantize != "none":
            _check_quantized(trainer, sampler)
        shared = sampler is not None and (sampler.name, sampler.placement) == ("transformers", "colocated")
        if zero.stage == 3 and shared:
            raise ConfigError(
                "`sampler.name=transformers` samples with the policy's own weights, which ZeRO stage 3 partitions; "
                "accepted: sampler=vllm, sampler.placement=separate, or trainer/deepspeed=none, zero1, zero2"
            )
    if config.model is not None and config.model.attn_implementation is not None:
        _check_attention(config.model.attn_implementation, config.model.dtype, sampler)
    if sampler is None:
        return
    if sampler.tensor_parallel > 1 and sampler.placement != "separate":
        raise ConfigError(
            f"`sampler.tensor_parallel={sampler.tensor_parallel}` needs GPUs of its own: sampler.placement=separate"
        )


def _check_quantized(trainer: ScaledTrainer, sampler: SamplerConfig | None) -> None:
    """Check that nothing but the policy's own model, in one process, holds the base."""
    key = f"`trainer.lora.quantize={trainer.lora.quantize}`"
    if trainer.deepspeed.stage:
        raise ConfigError(f"{key} packs weights, which DeepSpeed does not take; accepted: trainer/deepspeed=none")
    if sampler is not None and sampler.name == "vllm":
        raise ConfigError(
            f"{key} trains adapters for a rounded base, and vLLM would sample with the whole one; "
            "accepted: sampler=transformers"
        )
    if sampler is not None and sampler.placement == "separate":
        raise ConfigError(
            f"{key} trains adapters for a rounded base, and other processes would sample with the whole one; "
            "accepted: sampler.placement=colocated"
        )


def _check_attention(name: str, dtype: str, sampler: SamplerConfig | None) -> None:
    if name in ("sdpa", "eager"):
        return
    if dtype == "float32" and "flash" in name:
        raise ConfigError(f"`model.attn_implementation={name}` needs narrow numbers; accepted: model.dtype=bfloat16")
    if sampler is not None and sampler.name == "transformers":
        raise ConfigError(
            f"`model.attn_implementation={name}` does not take the mask that sampler=transformers decodes with; "
            "accepted: sdpa, eager, or sampler=vllm"
        )


def _check_repo(stage: PushStage) -> None:
    """Check the name as the Hub does, before anything is read."""
    if stage.repo is None:
        if not stage.dry_run:
            raise ConfigError(
                "`stage.repo` is not set, and stage.dry_run=false sends a model: stage.repo=<owner>/<name>"
            )
        return
    from huggingface_hub.errors import HFValidationError
    from huggingface_hub.utils import validate_repo_id

    try:
        validate_repo_id(stage.repo)
    except HFValidationError:
        pass
    else:
        if stage.repo.count("/") == 1:
            return
    raise ConfigError(
        f"`stage.repo={stage.repo}` is no name on the Hub; accepted: <owner>/<name> of at most 96 letters, "
        "digits and . _ -, without -- and .."
    )


def _check_pretrain(config: Config, stage: PretrainStage) -> None:
    if config.model is not None and config.model.path is not None:
        raise ConfigError(f"`model.path={config.model.path}` is not for stage=pretrain, which starts from nothing")
    if stage.direct_share + stage.alternative_share > 1:
        raise ConfigError(
            f"`stage.direct_share={stage.direct_share}` and stage.alternative_share={stage.alternative_share} "
            "are shares of the same text; accepted: a sum up to 1"
        )
    if stage.shyness and config.trainer is not None and stage.shyness_steps >= config.trainer.steps:
        raise ConfigError(
            f"`stage.shyness_steps={stage.shyness_steps}` are the last of trainer.steps={config.trainer.steps}; "
            "accepted: fewer than these"
        )


def _check_stage(config: Config) -> None:
    stage = config.stage
    if isinstance(stage, RolloutStage):
        for path in stage.decontaminate:
            if not Path(path).is_file():
                raise ConfigError(f"`stage.decontaminate` has {path!r}, which is not a file; accepted: JSONL files")
    if isinstance(stage, PushStage):
        _check_repo(stage)
    if isinstance(stage, PipelineStage) and not stage.steps:
        raise ConfigError("`stage.steps=[]` does nothing; accepted: lists of overrides such as ['stage=sft']")
    if isinstance(stage, PretrainStage):
        _check_pretrain(config, stage)
    if isinstance(stage, EvalStage):
        if not stage.greedy and not stage.samples:
            raise ConfigError("`stage.samples=0` with stage.greedy=false evaluates nothing")
        if sorted(set(stage.with_tools)) != sorted(stage.with_tools) or not stage.with_tools:
            raise ConfigError(
                f"`stage.with_tools={stage.with_tools}` is not accepted; accepted: [true], [false], [true,false]"
            )
        _check_benchmarks(config, stage.with_tools)
    if isinstance(stage, ScoreStage):
        _check_score(config, stage)
    if config.stage.name in TALKING and config.teacher is not None:
        _check_talking_teacher(config.stage.name, config.teacher)
    if isinstance(stage, ServeStage) and stage.api_key_env is None and not stage.without_key and not _own(stage.host):
        raise ConfigError(
            f"`stage.host={stage.host}` lets other machines ask without a key; accepted: "
            "stage.api_key_env=<variable that holds one>, stage.without_key=true, or stage.host=127.0.0.1"
        )


def _check_talking_teacher(stage: str, teacher: TeacherConfig) -> None:
    """Refuse a teacher that answers no question of a user, and an endpoint that would be served again."""
    given = f"`teacher.name={teacher.name}`"
    if teacher.name in SILENT_TEACHERS:
        accepted = "model, openai" if stage == "chat" else "model"
        raise ConfigError(f"{given} {SILENT_TEACHERS[teacher.name]}, so it answers no question; accepted: {accepted}")
    if stage == "serve" and teacher.name == "openai":
        raise ConfigError(f"{given} is served at teacher.base_url already; accepted: model, or stage=chat")


def _check_benchmarks(config: Config, with_tools: list[bool]) -> None:
    for name, benchmark in config.benchmark.items():
        _check_placeholders(f"benchmark.{name}.task", benchmark.task)
        _check_answer_format(f"benchmark.{name}.task", benchmark.task)
        if benchmark.task.split != TaskConfig.split:
            raise ConfigError(
                f"`benchmark.{name}.task.split={benchmark.task.split}` is not read; "
                f"benchmark.{name}.splits={{<split>: <domain>}} names the splits"
            )
        if benchmark.task.data_set is not None:
            raise ConfigError(
                f"`benchmark.{name}.task.data_set={benchmark.task.data_set}` names training tasks; "
                f"benchmark.{name}.splits={{<split>: id:<data set>}} is read"
            )
        if benchmark.task.name == "traces":
            raise ConfigError(
                f"`benchmark.{name}.task.name=traces` holds a teacher's work, which nothing is evaluated on; "
                "accepted: task=jsonl, rl_rows, ... with questions and answers"
            )
        by_calls = benchmark.task.name in ("bfcl", "calls") or bool(benchmark.task.columns.calls)
        if (benchmark.grader == "bfcl") != by_calls and ":" not in benchmark.grader:
            raise ConfigError(
                f"`benchmark.{name}.grader={benchmark.grader}` does not go with benchmark.{name}.task.name="
                f"{benchmark.task.name}; accepted: bfcl for rows that are judged by their calls (task=bfcl, calls, "
                "or with task.columns.calls), and for no others"
            )
        if ":" in benchmark.grader:
            check_own(benchmark.grader, f"benchmark.{name}.grader", [])
        read_sources(benchmark.terms, f"benchmark.{name}.terms")
        if by_calls and False in with_tools:
            raise ConfigError(
                f"`stage.with_tools={with_tools}` removes the tools that benchmark.{name} needs; "
                "accepted for rows that are judged by their calls: [true]"
            )
        for split, domain in benchmark.splits.items():
            if not DOMAIN.fullmatch(domain):
                raise ConfigError(
                    f"`benchmark.{name}.splits.{split}={domain}` is not accepted; "
                    "accepted: id, ood, unknown, id:<data set>, id:<data set>+<data set>"
                )


def _own(host: str) -> bool:
    """Whether an address is reached from this machine alone."""
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _check_score(config: Config, stage: ScoreStage) -> None:
    if not stage.presets:
        raise ConfigError(f"`stage.presets=[]` scores nothing; accepted: {', '.join(presets('reward'))}")
    own = described_reward(config.reward, config.name)
    label = None if own is None else own["name"]
    known = [*presets("reward"), *([label] if label else [])]
    for name in stage.presets:
        if name not in known:
            raise ConfigError(f"`stage.presets` has {name!r}, no reward preset{suggestion(name, known)}")
    if label is None and config.reward is not None and config.reward.name not in (*stage.presets, "flexible"):
        raise ConfigError(f"`reward={config.reward.name}` is not scored; accepted: its name in stage.presets")
    if label is not None and label not in stage.presets:
        raise ConfigError(f"`stage.presets` lacks {label}, the reward that reward= and name= describe; name it there")
    if stage.grid is not None:
        if stage.grid_base not in known:
            raise ConfigError(
                f"`stage.grid_base={stage.grid_base}` is no reward preset{suggestion(stage.grid_base, known)}"
            )
        base = settings_of(stage.grid_base, own)
        grid_points(base, stage.grid_base, stage.grid)
    if not Path(stage.input).is_file():
        raise ConfigError(f"`stage.input={stage.input}` is not a file")
    if Path(stage.output).resolve() == Path(stage.input).resolve():
        raise ConfigError(f"`stage.output={stage.output}` is stage.input itself")
    if Path(stage.output).is_dir():
        raise ConfigError(f"`stage.output={stage.output}` is a folder; accepted: a file to write")
