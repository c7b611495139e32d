"""Every `trainer/algorithm=` preset is a command, and what makes no sense together is refused in one line."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from hydra import compose, initialize_config_dir

from mentor.compose import register_schemas, to_config
from mentor.conf_dir import conf_dir
from mentor.config import Config
from mentor.errors import ConfigError

PRESETS = sorted(path.stem for path in (conf_dir() / "trainer" / "algorithm").glob("*.yaml"))
KEYS = {
    "grpo": ("group", True, "token", 0.2, 0.28, "token"),
    "dr_grpo": ("group", False, "token", 0.2, 0.2, "constant"),
    "rloo": ("leave_one_out", False, "token", 0.2, 0.2, "token"),
    "dapo": ("group", True, "token", 0.2, 0.28, "token"),
    "gdpo": ("group", True, "token", 0.2, 0.28, "token"),
    "gspo": ("group", True, "sequence", 3e-4, 4e-4, "sequence"),
    "opd": ("group", True, "token", 0.2, 0.28, "token"),
}
OPD = "trainer/algorithm=opd distill.teacher.path=owner/big"


@pytest.fixture
def composed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.chdir(tmp_path)
    register_schemas()
    with initialize_config_dir(str(conf_dir()), version_base="1.3"):
        yield


def rl(*overrides: str) -> Config:
    return to_config(compose("config", overrides=["stage=rl", *overrides]))


@pytest.mark.parametrize("preset", PRESETS)
def test_every_preset_composes_with_the_stage_and_sets_its_keys(composed: None, preset: str):
    trainer = rl(*(OPD.split() if preset == "opd" else [f"trainer/algorithm={preset}"])).trainer
    clip = (trainer.clip_low, trainer.clip_high)
    assert (trainer.advantage, trainer.normalize_std, trainer.ratio, *clip, trainer.loss_mean) == KEYS[preset]
    dynamic = (trainer.max_sampling_rounds, trainer.overlong_buffer_tokens)
    assert dynamic == ((3, 128) if preset == "dapo" else (1, 0))
    assert (trainer.epochs, trainer.kl_placement, trainer.entropy_coef, trainer.importance_cap) == (1, "loss", 0, None)
    assert trainer.aggregation == ("normalize_then_sum" if preset == "gdpo" else "sum_then_normalize")
    assert trainer.credit == "trajectory"
    assert trainer.old_logprobs == ("policy" if preset == "gspo" else "sampler")


def test_distillation_is_off_but_for_its_preset_whose_reward_is_only_logged(composed: None):
    assert (rl().distill.coef, rl().name) == (0.0, None)
    config = rl(*OPD.split())
    assert (config.distill.coef, config.distill.reward_coef, config.distill.placement) == (1.0, 0.0, "advantage")
    assert config.name == "opd" and rl(*OPD.split(), "name=mixed", "distill.reward_coef=1").name == "mixed"


@pytest.mark.parametrize("stage", ["rl", "check", "pipeline"])
def test_a_preset_is_for_every_stage_that_has_a_policy_trainer(composed: None, stage: str):
    overrides = [f"stage={stage}", "trainer/algorithm=gspo", "trainer.kl_coef=0.1", "trainer.kl_placement=reward"]
    config = to_config(compose("config", overrides=overrides))
    assert config.stage.name == stage


def test_no_preset_is_the_default_one(composed: None):
    assert rl().trainer == rl("trainer/algorithm=grpo").trainer


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("trainer.kl_placement=reward", r"`trainer\.kl_placement=reward`.*kl_coef=0; accepted: more than 0"),
        ("trainer.overlong_buffer_tokens=1024", r"`trainer\.overlong_buffer_tokens=1024`.*sampler\.max_tokens=1024"),
        ("trainer.importance_cap=0.5", r"`trainer\.importance_cap=0\.5`.*1 or more"),
        ("trainer.importance_cap=2", r"`trainer\.importance_cap=2`.*accepted: trainer\.old_logprobs=policy, or null"),
        (
            "trainer.ratio=sequence model.dtype=bfloat16",
            r"`trainer\.ratio=sequence` with model\.dtype=bfloat16.*accepted: trainer\.old_logprobs=policy",
        ),
        ("trainer.dual_clip=0.9", r"`trainer\.dual_clip=0\.9`.*1 or more"),
        ("trainer.betas=[0.9]", r"`trainer\.betas=\[0\.9\]`.*two numbers from 0 to below 1"),
        ("trainer.betas=[0.9,1.0]", r"`trainer\.betas=\[0\.9, 1\.0\]`.*two numbers from 0 to below 1"),
        (
            "trainer.mask_cut=true trainer.kl_coef=0.1 trainer.kl_placement=reward",
            r"`trainer\.mask_cut=true`.*accepted: trainer\.kl_placement=loss",
        ),
        (
            "trainer/algorithm=gdpo trainer.normalize_std=false",
            r"`trainer\.aggregation=normalize_then_sum`.*accepted: trainer\.normalize_std=true, or sum_then_normalize",
        ),
        (
            "trainer/algorithm=gdpo trainer.kl_coef=0.1 trainer.kl_placement=reward",
            r"`trainer\.aggregation=normalize_then_sum`.*KL.*accepted: trainer\.kl_placement=loss",
        ),
        ("trainer/algorithm=gspo trainer.credit=turn", r"`trainer\.credit=turn`.*accepted: trainer\.ratio=token"),
        ("trainer/algorithm=opd", r"`distill\.teacher\.path` is not set: distill\.coef=1.*distill\.teacher\.base_url="),
        (f"{OPD} distill.teacher.base_url=http://host/v1", r"`distill\.teacher\.path` and.*are two teachers"),
        (
            "distill.coef=0.5 distill.teacher.base_url=http://host/v1",
            r"`distill\.teacher\.model` is not set: distill\.coef=0\.5 asks an endpoint",
        ),
        (f"{OPD} distill.divergence=jsd", r"`distill\.divergence=jsd`.*accepted: distill\.placement=loss"),
        (f"{OPD} distill.discount=2", r"`distill\.discount=2\.0`.*0 to 1"),
        (f"{OPD} trainer.max_sampling_rounds=2", r"`trainer\.max_sampling_rounds=2`.*coef above 0: 1"),
        (f"{OPD} trainer.kl_coef=0.1 trainer.kl_placement=reward", r"`trainer\.kl_placement=reward`.*above 0: loss"),
        (f"{OPD} sampler.top_k=20", r"`sampler\.top_k=20`.*coef above 0: null"),
        (
            "distill.coef=1 distill.teacher.base_url=http://a/v1 distill.teacher.model=b distill.teacher.max_cost=1",
            r"`distill\.teacher\.max_cost=1\.0` needs distill\.teacher\.input_price above 0",
        ),
        ("trainer.advantage=mean", r"`trainer\.advantage=mean`.*group, leave_one_out"),
        ("trainer.ratio=turn", r"`trainer\.ratio=turn`.*token, sequence"),
        ("trainer.loss_mean=constnt", "did you mean `constant`"),
        ("trainer.max_sampling_rounds=0", "1 or more"),
        ("trainer.epochs=0", "1 or more"),
    ],
)
def test_what_makes_no_sense_is_refused_in_one_line(composed: None, override: str, message: str):
    with pytest.raises(ConfigError, match=message) as raised:
        rl(*override.split())
    assert "\n" not in str(raised.value)
