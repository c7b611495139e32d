"""The models of stage=rl: the policy, and the reference of a KL term."""

from __future__ import annotations

from pathlib import Path

from mentor.chat import ChatFormat
from mentor.config import Config, ModelConfig, RlTrainer, SamplerConfig
from mentor.policy import Policy
from mentor.policy.ranks import Ranks
from mentor.policy.reference import Reference, build_reference
from mentor.stages.training import build_policy, load_student


def load_policy(base: Path | str, chat: ChatFormat, config: Config, trainer: RlTrainer, ranks: Ranks) -> Policy:
    """Load the base to train it. trainer: with the steps of the stage."""
    model, sampling = config.model, config.sampler
    assert isinstance(model, ModelConfig) and isinstance(sampling, SamplerConfig)
    student = load_student(base, model, trainer)
    return build_policy(student, chat, model, trainer, trainer.optimizer_steps, sampling.temperature, ranks)


def load_reference(
    policy: Policy, base: Path | str, chat: ChatFormat, config: Config, trainer: RlTrainer, ranks: Ranks
) -> Reference | None:
    """Load the reference model of the policy, None where there is no KL term."""
    model, sampling = config.model, config.sampler
    assert isinstance(model, ModelConfig) and isinstance(sampling, SamplerConfig)
    if trainer.kl_coef == 0:
        return None
    offload = trainer.reference_offload

    def load_frozen() -> Policy:
        frozen = load_student(base, model, trainer, frozen=True, on_cpu=offload)
        return build_policy(frozen, chat, model, trainer, 0, sampling.temperature, ranks, offload)

    # in stage 3 DeepSpeed keeps the parts on the CPU
    return build_reference(policy, load_frozen, offload=offload and trainer.deepspeed.stage < 3)
