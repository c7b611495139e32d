"""Estimate the memory of a training run before it starts: pure functions on numbers, no torch, no configuration."""

from mentor.planning.memory import Phase, Plan, make_plan
from mentor.planning.options import cheapest_fit
from mentor.planning.shape import ModelShape
from mentor.planning.workload import Device, TeacherWeights, Workload

__all__ = ["Device", "ModelShape", "Phase", "Plan", "TeacherWeights", "Workload", "cheapest_fit", "make_plan"]
