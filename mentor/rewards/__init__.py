"""Rewards: score trajectories by their answer and their tool use. Imports no tools, tasks or stages.

Flow: trajectories of one group -> `build_reward(...).score` -> one RewardBreakdown each -> advantages.
"""

from mentor.rewards.composite import CompositeReward
from mentor.rewards.presets import (
    PRESETS,
    Reward,
    build_reward,
    check_settings,
    described_reward,
    load_preset,
    own_files,
    settings_of,
)

__all__ = [
    "PRESETS",
    "CompositeReward",
    "Reward",
    "build_reward",
    "check_settings",
    "described_reward",
    "load_preset",
    "own_files",
    "settings_of",
]
