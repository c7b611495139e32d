"""The trained model: forward logprobs, update, save and load behind one interface."""

from mentor.policy.base import LossFunction, Policy, PolicyOutput
from mentor.policy.torch_policy import OptimizerSettings, TorchPolicy

__all__ = ["LossFunction", "OptimizerSettings", "Policy", "PolicyOutput", "TorchPolicy"]
