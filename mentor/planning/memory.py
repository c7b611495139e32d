"""Plan the memory of an RL run by phase: on the GPU of each rank, and on the host.

Weights, gradients, optimiser states and caches are counted; activations, and what CUDA, vLLM and a Python process take,
are estimates: the numbers in capitals in this package are the ones to adjust after a measurement.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from math import ceil

from mentor.planning import activations, model_state, rollout_memory
from mentor.planning.host_memory import host_phases
from mentor.planning.terms import Terms, add, larger, scaled
from mentor.planning.workload import Workload

SHARES = [share / 20 for share in range(18, 1, -1)]  # of a GPU, for vLLM: 0.9, 0.85, ... 0.1
FREE_SHARE = 0.06  # of a GPU: fragmentation, and what a card has less than its name says (a "24 GB" one: 22.5 to 24)


@dataclass(frozen=True)
class Phase:
    """memory: GPU, vLLM's share, vLLM's GPU, the sampler's GPU, or host. available: None if it is not checked."""

    name: str
    memory: str
    terms: Terms
    available: float | None

    @property
    def total(self) -> float:
        return sum(self.terms.values())

    @property
    def fits(self) -> bool:
        return self.available is None or self.total <= self.available


@dataclass(frozen=True)
class Plan:
    """sequences: trajectories of full length that vLLM's cache holds at once; None with another sampler.

    gpu_memory_share: of the GPU, for a vLLM on the policy's GPUs; None without one.
    """

    phases: tuple[Phase, ...]
    sequences: float | None = None
    gpu_memory_share: float | None = None
    misfits: tuple[Phase, ...] = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "misfits", tuple(phase for phase in self.phases if not phase.fits))

    @property
    def peak(self) -> Phase:
        """Return the phase with the highest need of GPU memory (or of a process's memory, without a GPU)."""
        return max((phase for phase in self.phases if phase.memory == self.phases[0].memory), key=lambda p: p.total)

    @property
    def worst(self) -> Phase:
        """Return the misfit that exceeds its memory by the largest factor."""
        return max(self.misfits, key=lambda phase: phase.total / (phase.available or 1))


def make_plan(workload: Workload) -> Plan:
    """Plan every phase of a training step, with start and save. The phases of the policy's device come first."""
    if workload.colocated_vllm and workload.device.is_gpu and workload.gpu_memory_share is None:
        return _fullest(workload)
    on_gpu, available = workload.device.is_gpu, workload.device.gib * (1 - FREE_SHARE)
    policy, host = _policy_phases(workload), host_phases(workload)
    if not on_gpu:
        alike = {name: scaled(terms, 1 / workload.local_processes) for name, terms in host.items()}
        merged = {name: add(terms, alike.get(name, alike["run"])) for name, terms in policy.items()}
        phases = [Phase(name, "process", terms, available) for name, terms in merged.items()]
        if workload.sampler == "vllm":
            phases.append(
                Phase("one sequence", "vLLM's cache", rollout_memory.one_sequence(workload), workload.kv_cache_gib)
            )
        return Plan(tuple(phases), rollout_memory.sequences(workload))
    phases = [Phase(name, "GPU", terms, available) for name, terms in policy.items()]
    if workload.sampler == "vllm":
        phases.append(
            Phase(
                "one sequence", "vLLM's share", rollout_memory.vllm_least(workload), rollout_memory.vllm_share(workload)
            )
        )
    if workload.sampler == "vllm" and workload.placement == "separate":
        phases.append(Phase("rollout", "vLLM's GPU", {"vLLM's share": rollout_memory.vllm_share(workload)}, available))
    if workload.separate_embedded:
        apart = add({"CUDA": model_state.CUDA_GIB}, rollout_memory.separate_embedded(workload))
        phases.append(Phase("rollout", "the sampler's GPU", apart, available))
    phases += [Phase(name, "host", terms, workload.device.host_gib) for name, terms in host.items()]
    share = workload.gpu_memory_share if workload.colocated_vllm else None
    return Plan(tuple(phases), rollout_memory.sequences(workload), share)


def _fullest(workload: Workload) -> Plan:
    """Plan the largest share for vLLM that fits, or where none does the least that holds one trajectory."""
    plans = (make_plan(replace(workload, gpu_memory_share=share)) for share in SHARES)
    found = next((plan for plan in plans if not plan.misfits), None)
    if found is not None:
        return found
    least = sum(rollout_memory.vllm_least(workload).values()) / workload.device.gib
    return make_plan(replace(workload, gpu_memory_share=ceil(20 * least) / 20))


def _policy_phases(workload: Workload) -> dict[str, Terms]:
    models = add(
        model_state.context(workload),
        model_state.weights(workload),
        model_state.reference(workload),
        model_state.teacher(workload),
    )
    taught, on_gpu = workload.teacher, workload.device.is_gpu
    comes = workload.reference_offload and on_gpu  # without a GPU it scores where it is
    scoring = model_state.reference(workload, scores=True) if comes else {}
    forward = activations.forward(workload)
    if taught is not None:  # one scores after the other
        dtype = "bfloat16" if taught.width == 2 else "float32"
        theirs = activations.forward(replace(workload, shape=taught.shape, dtype=dtype))
        away = model_state.teacher(workload, scores=True) if taught.offload and on_gpu else {}
        forward, scoring = larger(forward, theirs), larger(scoring, away)
    lasting = add(models, model_state.states(workload), model_state.buffers(workload))
    asleep, awake, gathered = (
        rollout_memory.vllm_asleep(workload),
        rollout_memory.vllm_awake(workload),
        model_state.gathered(workload),
    )
    return {
        "start": add(models, model_state.starting(workload)),
        "rollout": add(lasting, awake, rollout_memory.own_cache(workload)),
        "logprobs": add(lasting, asleep, gathered, scoring, forward),
        "backward": add(lasting, asleep, gathered, model_state.gradients(workload), activations.backward(workload)),
        "step": add(lasting, asleep, model_state.gradients(workload), model_state.step(workload)),
        "push": add(lasting, larger(rollout_memory.push(workload), add(awake, gathered))),
        "save": add(lasting, awake, model_state.save(workload)),
    }
