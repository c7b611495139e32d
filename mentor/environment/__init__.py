"""Multi-turn rollouts between a sampler and tools."""

from mentor.environment.requests import RolloutLimits, RolloutRequest, derive_seed
from mentor.environment.rollout import Environment

__all__ = ["Environment", "RolloutLimits", "RolloutRequest", "derive_seed"]
