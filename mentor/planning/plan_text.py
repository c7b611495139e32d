"""Print a plan: a line for each phase, and a line for a plan that does not fit."""

from __future__ import annotations

from mentor.planning.memory import FREE_SHARE, Phase, Plan
from mentor.planning.workload import Workload

WHERE = {
    "GPU": "on each GPU",
    "vLLM's GPU": "on each of vLLM's GPUs",
    "the sampler's GPU": "on each of the sampler's GPUs",
    "process": "for each process",
}


def table(plan: Plan) -> str:
    """Format the phases of a plan in GiB; `available` is a dash where it is unknown."""
    rows = [("memory", "phase", "needs", "available", "of which")]
    for phase in plan.phases:
        available = "-" if phase.available is None else f"{phase.available:.1f}"
        terms = sorted(phase.terms.items(), key=lambda term: -term[1])
        listed = ", ".join(f"{name} {size:.2f}" for name, size in terms if size >= 0.005)
        rows.append((phase.memory, phase.name, f"{phase.total:.1f}", available, listed))
    widths = [max(len(row[column]) for row in rows) for column in range(4)]
    lines = []
    for memory, name, needs, available, listed in rows:
        left = f"{memory:<{widths[0]}}  {name:<{widths[1]}}"
        lines.append(f"{left}  {needs:>{widths[2]}}  {available:>{widths[3]}}  {listed}".rstrip())
    return "\n".join(lines)


def refusal(workload: Workload, misfit: Phase, remedy: list[str] | None) -> str:
    """Return one line: the phase, its need, what is available, and the overrides that would fit."""
    assert misfit.available is not None
    gib = workload.device.gib
    if misfit.memory == "vLLM's share":
        given = f"`sampler.gpu_memory_share={misfit.available / gib:g}` of {gib:.1f} GiB is {misfit.available:.1f}"
        needs = f"vLLM needs {misfit.total:.1f} GiB for its weights and one trajectory, {given}"
    elif misfit.memory == "vLLM's cache":
        given = f"`sampler.kv_cache_gib={workload.kv_cache_gib:g}`"
        needs = f"vLLM needs {misfit.total:.2f} GiB for the cache of one trajectory, {given} are available"
    elif misfit.memory == "host":
        given = f"{misfit.available:.1f} are available"
        needs = f"{misfit.name} needs {misfit.total:.1f} GiB of the machine's own memory, {given}"
    else:
        given = f"{misfit.available:.1f} of {gib:.1f} are available ({FREE_SHARE:.0%} stay free)"
        needs = f"{misfit.name} needs {misfit.total:.1f} GiB {WHERE[misfit.memory]}, {given}"
    if remedy is None:
        return f"{needs}; no other setting fits: use a smaller model, or more GPUs with trainer.num_processes"
    return f"{needs}; this fits: {' '.join(remedy)}"
