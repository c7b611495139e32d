"""Estimate the host memory of the processes of one node together."""

from __future__ import annotations

from collections.abc import Mapping

from mentor.planning import model_state, rollout_memory
from mentor.planning.terms import Terms, add, gib, scaled
from mentor.planning.workload import Workload

SHARD = 2**30  # bytes of a checkpoint file, built in host memory
PROCESS_GIB = 2.0  # of one process with torch and CUDA libraries
CPU_PROCESS_GIB = 0.8  # of one without CUDA


def host_phases(workload: Workload) -> dict[str, Terms]:
    """Return the terms of the phases with host memory: start, run and save. The first node alone saves."""
    per_process = PROCESS_GIB if workload.device.is_gpu else CPU_PROCESS_GIB
    everywhere = add({"processes": per_process * workload.num_processes}, gib(_offloaded(workload)))
    lasting = scaled(everywhere, 1 / workload.nodes)  # the nodes are alike
    model = workload.weight_width * workload.held
    written = 4 * workload.shape.parameters if workload.lora_rank else model  # merged adapters are float32
    shard = min(12 * workload.trained, SHARD + 12 * model_state.largest_trained(workload))
    pushed = workload.trained if workload.lora_rank else workload.shape.parameters
    sent = (4 if workload.separate_embedded else workload.width) * pushed if workload.placement == "separate" else 0
    waiting = workload.width * workload.held if _base_waits(workload) else 0
    return {
        "start": add(lasting, gib({"weights being read": workload.local_processes * model})),
        "run": add(
            lasting,
            gib({"weights on their way to engines": sent}),
            _embedded(workload, per_process),
            gib({"vLLM asleep": waiting * workload.local_processes}),
        ),
        "save": add(lasting, gib({"what is written": max(written, shard)})),
    }


def _embedded(workload: Workload, per_process: float) -> Terms:
    """Count the embedded samplers of a node that have processes of their own."""
    if not workload.separate_embedded:
        return {}
    inside = {} if workload.device.is_gpu else rollout_memory.separate_embedded(workload)
    return {"samplers": workload.engines * (per_process + sum(inside.values()))}


def _base_waits(workload: Workload) -> bool:
    """Return whether vLLM's weights wait in host memory while it sleeps: a base that adapters belong to does."""
    return bool(workload.lora_rank) and workload.colocated_vllm and workload.device.is_gpu


def _offloaded(workload: Workload) -> Mapping[str, float]:
    """Count the bytes of offloaded states; in ZeRO stage 3 the partitions of all ranks add up to one model."""
    width, trained = workload.weight_width, workload.trained
    copies = 1 if workload.zero_stage == 3 else workload.num_processes
    away = workload.reference_offload or (workload.zero_stage == 3 and workload.offload)
    reference = copies * width * workload.shape.parameters if workload.has_reference and away else 0
    taught = workload.teacher
    teacher = copies * taught.width * taught.shape.parameters if taught is not None and taught.offload else 0
    if not workload.offload:
        return {"reference": reference, "teacher": teacher}
    kept = trained if workload.zero_stage == 3 else workload.num_processes * model_state.partition(workload)
    terms: dict[str, float] = {
        "reference": reference,
        "teacher": teacher,
        "states": 12 * trained,
        "gradients": (4 + width) * trained + width * kept,
    }
    if workload.zero_stage == 3:
        terms["gradients"] = 8 * trained
        terms["weights"] = width * workload.held
    return terms
