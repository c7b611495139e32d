"""Multi-turn rollouts between a sampler and tools."""

from mentor.environment.environment import Environment
from mentor.environment.requests import RolloutLimits, RolloutRequest, derive_seed

__all__ = ["Environment", "RolloutLimits", "RolloutRequest", "derive_seed"]
