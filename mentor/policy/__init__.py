"""The model in training: logprobs, updates, weights and checkpoints, on engines for one rank or several."""

from mentor.policy.interface import LossFunction, PolicyOutput
from mentor.policy.lm_head import MostLikely, Truncation
from mentor.policy.optimizer import OptimizerSettings
from mentor.policy.policy import Policy
from mentor.policy.torch_engine import TorchEngine

__all__ = ["LossFunction", "MostLikely", "OptimizerSettings", "Policy", "PolicyOutput", "TorchEngine", "Truncation"]
