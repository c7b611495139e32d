"""What a training run needs in memory, before it is started: pure functions on numbers, no torch, no configuration."""

from mentor.planning.memory import Phase, Plan, make_plan
from mentor.planning.options import cheapest_fit
from mentor.planning.setting import Device, Setting
from mentor.planning.shape import ModelShape

__all__ = ["Device", "ModelShape", "Phase", "Plan", "Setting", "cheapest_fit", "make_plan"]
