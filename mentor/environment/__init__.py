"""The multi-turn loop between a sampler and tools."""

from mentor.environment.rollout import Environment, RolloutLimits, RolloutRequest, derive_seed

__all__ = ["Environment", "RolloutLimits", "RolloutRequest", "derive_seed"]
