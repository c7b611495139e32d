"""Checks of a composed config: one line that names the key, what was given and what is accepted."""

from dataclasses import replace

import pytest

from mentor.checks import check, presets, suggestion
from mentor.config import (
    BenchmarkConfig,
    ChatStage,
    Config,
    DeepSpeedConfig,
    EvalStage,
    LoraConfig,
    ModelConfig,
    OpenaiTeacher,
    PerturbConfig,
    PretrainStage,
    ServeStage,
    SftStage,
    SftTrainer,
    SupervisedTrainer,
    TaskConfig,
    TeacherConfig,
    ToolsConfig,
    TracesTeacher,
    WorkedTeacher,
)
from mentor.errors import ConfigError
from tests.fixtures.configs import eval_config, rl_config


def test_valid_configs_pass():
    check(rl_config())
    check(eval_config())


@pytest.mark.parametrize(
    ("section", "change", "message"),
    [
        ("trainer", {"steps": 0}, r"`trainer\.steps=0`.*1 or more"),
        ("trainer", {"learning_rate": float("nan")}, r"`trainer\.learning_rate=nan`"),
        ("trainer", {"learning_rate": float("inf")}, r"`trainer\.learning_rate=inf`"),
        ("tools", {"timeout_s": float("inf")}, r"`tools\.timeout_s=inf`.*86400"),
        ("tools", {"memory_mib": 10**12}, "8 to 1048576"),
        ("stage", {"save_trajectories_every": 0}, "1 or more"),
        ("trainer", {"optimizer": "adam"}, "did you mean `adamw`"),
        ("trainer", {"group_size": 1}, r"`trainer\.group_size=1`.*2 or more"),
        ("trainer", {"kl_estimator": "k2"}, "k1"),
        ("trainer", {"clip_low": -0.1}, "0 to 1"),
        ("trainer", {"minibatches": 257}, "256 trajectories"),
        ("trainer", {"warmup_steps": 7}, "more than the 6 optimiser steps"),
        ("sampler", {"top_p": 0.9}, r"`sampler\.top_p=0\.9` alone.*accepted: 1, or with it sampler\.top_k"),
        ("sampler", {"top_k": 0}, r"`sampler\.top_k=0`.*1 or more"),
        ("sampler", {"max_tokens": 4096}, "max_position_embeddings=2048"),
        ("sampler", {"max_turn_tokens": 2000}, r"more than sampler\.max_tokens"),
        ("sampler", {"max_thinking_tokens": 96}, r"leaves nothing of sampler\.max_turn_tokens=96"),
        ("sampler", {"max_thinking_tokens": 0}, "1 or more"),
        ("reward", {"gate": "some"}, "none, outcome, group"),
        ("reward", {"matcher": "bag"}, "bag_f1"),
        ("reward", {"max_ungraded": 1.5}, "0 to 1"),
        ("tools", {"name": "file"}, r"`tools\.path` is not set"),
        ("tools", {"name": "file", "path": "/nonexistent/tools.py"}, "is not a file"),
        ("model", {"dtype": "float16"}, "bfloat16"),
        ("model", {"question_template": "Q: {q}"}, "lacks {question}"),
        ("model", {"num_key_value_heads": 3}, "not a multiple"),
        ("logger", {"wandb": "off"}, "offline"),
        ("trainer", {"deepspeed": DeepSpeedConfig(2), "optimizer": "muon"}, "accepted: adamw"),
        ("trainer", {"deepspeed": DeepSpeedConfig(4)}, "0 to 3"),
        ("trainer", {"deepspeed": DeepSpeedConfig(0, offload=True)}, r"trainer\.deepspeed\.stage=1 to 3"),
        ("trainer", {"deepspeed": DeepSpeedConfig(3)}, "accepted: sampler=vllm"),
        (
            "trainer",
            {"deepspeed": DeepSpeedConfig(2), "lora": LoraConfig(rank=4, quantize="nf4")},
            r"`trainer\.lora\.quantize=nf4` packs weights.*accepted: trainer/deepspeed=none",
        ),
        ("trainer", {"lora": LoraConfig(rank=4, quantize="int8")}, "none, nf4"),
        ("model", {"attn_implementation": "flash_attention_2"}, r"narrow numbers; accepted: model\.dtype=bfloat16"),
        (
            "model",
            {"attn_implementation": "flash_attention_2", "dtype": "bfloat16"},
            "does not take the mask that sampler=transformers decodes with; accepted: sdpa, eager, or sampler=vllm",
        ),
        ("sampler", {"name": "vllm", "tensor_parallel": 2}, r"sampler\.placement=separate"),
    ],
)
def test_bad_value_is_one_line_naming_the_key(section, change, message):
    config = rl_config()
    changed = replace(config, **{section: replace(getattr(config, section), **change)})
    with pytest.raises(ConfigError, match=message) as raised:
        check(changed)
    assert "\n" not in str(raised.value)


@pytest.mark.parametrize(
    ("config", "message"),
    [
        (
            replace(
                rl_config(),
                sampler=replace(rl_config().sampler, name="vllm"),
                trainer=replace(rl_config().trainer, lora=LoraConfig(rank=4, quantize="nf4")),
            ),
            "vLLM would sample with the whole one; accepted: sampler=transformers",
        ),
        (
            replace(
                rl_config(),
                sampler=replace(rl_config().sampler, placement="separate"),
                trainer=replace(rl_config().trainer, lora=LoraConfig(rank=4, quantize="nf4")),
            ),
            r"other processes would sample with the whole one; accepted: sampler\.placement=colocated",
        ),
        (replace(rl_config(), run="../up"), "run=../up"),
        (replace(rl_config(), seed=-1), "seed=-1"),
        (Config(stage=SftStage("sft"), init="sft", trainer=SftTrainer()), "a name= of its own"),
        (Config(stage=PretrainStage("pretrain"), model=ModelConfig("x", path="y")), "stage=pretrain"),
        (Config(stage=PretrainStage("pretrain", direct_share=0.6, alternative_share=0.6)), "up to 1"),
        (
            Config(stage=PretrainStage("pretrain", shyness=0.5, shyness_steps=20), trainer=SupervisedTrainer(steps=20)),
            "`stage.shyness_steps=20` are the last of trainer.steps=20; accepted: fewer",
        ),
        (Config(stage=EvalStage("eval", greedy=False, samples=0)), "evaluates nothing"),
        (
            replace(eval_config(), benchmark={"x": BenchmarkConfig(TaskConfig("gsm8k"), {"test": "in"})}),
            "id, ood, unknown",
        ),
        (replace(eval_config(), benchmark={"x": BenchmarkConfig(TaskConfig("gsm8k"), {"test": "id:a+"})}), "id, ood"),
        (replace(eval_config(), benchmark={"x": BenchmarkConfig(TaskConfig("gsm8k", split="dev"))}), "x.splits"),
        (replace(eval_config(), benchmark={"x": BenchmarkConfig(TaskConfig("gsm8k", data_set="d"))}), "x.splits"),
        (replace(eval_config(), stage=EvalStage("eval", with_tools=[])), r"accepted: \[true\], \[false\]"),
        (replace(eval_config(), stage=EvalStage("eval", with_tools=[True, True])), "with_tools"),
        (Config(task=TaskConfig("gsm8k"), teacher=TeacherConfig("oracle")), "oracle"),
        (Config(task=TaskConfig("calculator"), teacher=TeacherConfig("annotated")), "annotated"),
        (
            Config(ChatStage("chat", "teacher"), teacher=WorkedTeacher("oracle")),
            "`teacher.name=oracle` executes the program behind a generated task, .* accepted: model, openai",
        ),
        (Config(ChatStage("chat", "teacher"), teacher=WorkedTeacher("annotated")), "executes the worked answers"),
        (Config(ServeStage("serve", "teacher"), teacher=TracesTeacher("traces")), "stored .*; accepted: model$"),
        (
            Config(ServeStage("serve", "teacher"), teacher=OpenaiTeacher("openai", base_url="http://a", model="m")),
            "`teacher.name=openai` is served at teacher.base_url already; accepted: model, or stage=chat",
        ),
        (Config(task=TaskConfig("jsonl")), "task.path"),
        (Config(task=TaskConfig("gsm8k", data_set="a+b")), "task.data_set=a"),
        (
            replace(rl_config(), task=TaskConfig(perturb=PerturbConfig(missing=True)), tools=ToolsConfig("python")),
            r"`task\.perturb\.missing=true` does not go with tools=python",
        ),
        (replace(rl_config(), task=TaskConfig(perturb=PerturbConfig("word"))), "task.perturb.rename=word"),
        (
            replace(rl_config(), task=TaskConfig(perturb=PerturbConfig(failure_rate=1.5))),
            "`task.perturb.failure_rate=1.5` is out of range; accepted: 0 to 1",
        ),
        (Config(task=TaskConfig("rl_rows", "a", placeholders=["=x"])), "task.placeholders"),
        (Config(task=TaskConfig("rl_rows", "a", placeholders=["url"])), "text=replacement"),
        (
            Config(task=TaskConfig("gsm8k", answer_format="hash")),
            "task.answer_format=hash is not accepted, accepted: boxed",
        ),
        (
            replace(eval_config(), benchmark={"x": BenchmarkConfig(TaskConfig("gsm8k", answer_format="re:("))}),
            r"benchmark.x.task.answer_format=re:\( is no regular expression",
        ),
        (replace(eval_config(), benchmark={"x": BenchmarkConfig(TaskConfig("bfcl"))}), "x.grader=answer"),
        (replace(eval_config(), benchmark={"x": BenchmarkConfig(TaskConfig("gsm8k"), grader="bfcl")}), "x.grader=bfcl"),
        (
            Config(
                EvalStage("eval", with_tools=[True, False]),
                benchmark={"x": BenchmarkConfig(TaskConfig("bfcl"), grader="bfcl")},
            ),
            "removes the tools",
        ),
    ],
)
def test_bad_combination(config, message):
    if config.stage.name == "???":
        config.stage.name = "rollout"
    with pytest.raises(ConfigError, match=message):
        check(config)


def test_a_near_word_is_suggested_and_else_all_are_listed():
    assert suggestion("flexibel", presets("reward")) == "; did you mean `flexible`?"
    assert suggestion("x", ["zero1", "zero2"]) == "; accepted: zero1, zero2"
