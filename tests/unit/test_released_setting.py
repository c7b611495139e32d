"""`experiment=released_8x80gb` against the values of the released repository, and the page that says whose they are."""

import re
from pathlib import Path

import pytest
from hydra import compose

from mentor.cli import main
from mentor.compose import to_config
from mentor.conf_dir import conf_dir
from mentor.config import Config

PAGE = conf_dir().parent / "docs" / "hardware.md"

RELEASED = {
    # README
    "trainer.prompts_per_step": 32,
    "trainer.group_size": 10,
    "trainer.task_epochs": 2,
    "trainer.save_every": 10,
    "trainer.eval_every": 10,
    "sampler.max_turns": 5,
    "sampler.gpu_memory_share": 0.8,
    # scripts/train/train_qwen3.sh
    "trainer.learning_rate": 1e-6,
    "trainer.gradient_checkpointing": True,
    "trainer.packing": True,
    "trainer.advantage": "group",
    "trainer.kl_coef": 0.001,
    "trainer.kl_estimator": "k3",
    "trainer.kl_placement": "loss",
    "trainer.reference_offload": True,
    # src/verl/trainer/config/ppo_trainer.yaml
    "sampler.temperature": 0.6,
    "sampler.top_k": 20,
    "trainer.normalize_std": True,
    "trainer.ratio": "token",
    "trainer.old_logprobs": "policy",
    "trainer.importance_cap": None,
    "trainer.clip_low": 0.2,
    "trainer.clip_high": 0.2,
    "trainer.dual_clip": 3.0,
    "trainer.mask_cut": False,
    "trainer.loss_mean": "token",
    "trainer.entropy_coef": 0.001,
    "trainer.optimizer": "adamw",
    "trainer.weight_decay": 0.01,
    "trainer.max_grad_norm": 1.0,
    "trainer.epochs": 1,
    "trainer.schedule": "constant",
    "trainer.warmup_steps": 0,
    "trainer.max_sampling_rounds": 1,
    "trainer.overlong_buffer_tokens": 0,
    # src/verl/workers/fsdp_workers.py
    "trainer.betas": [0.9, 0.999],
    "trainer.eps": 1e-8,
    # src/verl/workers/rollout/vllm_rollout/vllm_rollout_spmd.py
    "sampler.name": "vllm",
    "sampler.top_p": 0.99,
    "sampler.max_turn_tokens": 8192,
    "model.enable_thinking": True,
    # the authors' reward, and the eight GPUs
    "reward.family": "released",
    "reward.matcher": "mentor",
    "trainer.num_processes": 8,
}


def value(config: Config, key: str) -> object:
    for name in key.split("."):
        config = getattr(config, name)
    return config


def composed(*overrides: str) -> Config:
    return to_config(compose("config", overrides=list(overrides)))


@pytest.mark.parametrize("stage", ["rl", "check"])
def test_every_value_is_the_released_one(hydra_conf: None, stage: str):
    config = composed(f"stage={stage}", "experiment=released_8x80gb")
    assert {key: value(config, key) for key in RELEASED} == RELEASED
    prompts, response, minibatch = 1536, 8192, 8
    assert config.sampler.max_tokens == prompts + response
    assert config.trainer.minibatches * minibatch == config.trainer.prompts_per_step


def test_debug_size_and_a_number_of_steps_go_with_it(hydra_conf: None):
    short = composed("stage=rl", "experiment=released_8x80gb", "debug=default")
    assert (short.trainer.task_epochs, short.trainer.steps, short.trainer.dual_clip) == (None, 2, 3.0)


@pytest.mark.parametrize("reward", ["sparse", "partial", "validity", "f1"])
def test_the_other_released_rewards_go_with_it(hydra_conf: None, reward: str):
    config = composed("stage=rl", "experiment=released_8x80gb", f"reward=released_{reward}")
    assert config.reward.name == f"released_{reward}" and config.sampler.top_k == 20


def test_the_page_says_what_both_experiments_hold(hydra_conf: None):
    row = re.compile(r"\| `([\w.]+)` \| `([^`]+)` \| ([^|]+) \| `([^`]+)` \| [^|]+ \|")
    section = PAGE.read_text(encoding="utf-8").partition("### The released setting")[2].partition("### What fits")[0]
    rows = row.findall(section)
    paper, released = (composed("stage=rl", f"experiment={name}_8x80gb") for name in ("paper", "released"))
    for key, ours, whose, theirs in rows:
        shown = [str(value(config, key)).replace("None", "null") for config in (paper, released)]
        shown = [text.lower() if text in ("True", "False") else text for text in shown]
        assert [ours, theirs] == shown, key
        assert whose.startswith("ours" if ours != theirs or "ours" in whose else "repository"), key
    told = {key for key, *_ in rows}
    differing = {key for key in RELEASED if value(paper, key) != value(released, key)} - {
        "reward.family",
        "reward.matcher",
    }
    assert differing <= told and len(rows) > 25


def test_its_plan_is_printed_and_fits(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd):
    monkeypatch.chdir(tmp_path)
    assert main(["stage=check", "experiment=released_8x80gb"]) == 0
    said = capfd.readouterr().out
    assert "with ZeRO 2, processes: 8, tokens of a forward: 16384, sampler: vllm colocated" in said
    logprobs = next(line for line in said.splitlines() if re.match("GPU +logprobs", line))
    assert "reference 3.20" in logprobs and said.count("reference 3.20") == 1 and "\nfits: " in said
