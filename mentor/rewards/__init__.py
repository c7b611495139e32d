"""Rewards: what a trajectory is worth, from its answer and its tool use. Uses only types, config and errors.

Flow: trajectories of one group -> `build_reward(...).score` -> one RewardBreakdown each -> advantages.
"""

from mentor.rewards.composite import CompositeReward
from mentor.rewards.presets import PRESETS, Reward, build_reward, check_settings, load_preset

__all__ = ["PRESETS", "CompositeReward", "Reward", "build_reward", "check_settings", "load_preset"]
