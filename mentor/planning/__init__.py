"""What a training run needs in memory, before it is started: pure functions on numbers, no torch, no configuration."""

from mentor.planning.memory import Device, Phase, Plan, Setting, make_plan
from mentor.planning.options import Option, cheapest_fit
from mentor.planning.shape import ModelShape

__all__ = ["Device", "ModelShape", "Option", "Phase", "Plan", "Setting", "cheapest_fit", "make_plan"]
