"""A workload of round sizes, and the terms of its plan in bytes."""

from mentor.planning import Device, ModelShape, Plan, Workload, make_plan
from mentor.planning.terms import GIB

SHAPE = ModelShape(50_000, 1000, 4000, 10, 10, 5, 4096, head_dim=100)
N = SHAPE.parameters
GPU = Workload(SHAPE, Device(80.0), "bfloat16", zero_stage=2, kl=True, sampler="none", gradient_checkpointing=True)


def terms(workload: Workload, phase: str) -> dict[str, float]:
    """Bytes by name."""
    (found,) = [entry for entry in make_plan(workload).phases if entry.name == phase and entry.memory != "host"]
    return {name: size * GIB for name, size in found.terms.items()}


def host(plan: Plan, phase: str) -> dict[str, float]:
    (found,) = [entry for entry in plan.phases if entry.name == phase and entry.memory == "host"]
    return {name: size * GIB for name, size in found.terms.items()}
