"""What the processes of a run hold in the machine's own memory, all together."""

from __future__ import annotations

from collections.abc import Mapping

from mentor.planning import model_state
from mentor.planning.setting import Setting, Terms, add, gib

SHARD = 2**30  # bytes of a checkpoint file, built in host memory
PROCESS_GIB = 2.0  # of one process with torch and CUDA libraries
CPU_PROCESS_GIB = 0.8  # of one without CUDA


def host_phases(setting: Setting) -> dict[str, Terms]:
    """Of the whole machine, all processes together."""
    per_process = PROCESS_GIB if setting.device.is_gpu else CPU_PROCESS_GIB
    lasting = add({"processes": per_process * setting.num_processes}, gib(_offloaded(setting)))
    model = setting.weight_width * setting.held
    shard = min(12 * setting.trained, SHARD + 12 * model_state.largest_trained(setting))
    separate = setting.sampler == "vllm" and setting.placement == "separate"
    sent = setting.width * setting.shape.parameters if separate else 0
    return {
        "start": add(lasting, gib({"weights being read": setting.num_processes * model})),
        "run": add(lasting, gib({"weights on their way to vLLM": sent * setting.num_processes})),
        "save": add(lasting, gib({"what is written": max(model, shard)})),
    }


def _offloaded(setting: Setting) -> Mapping[str, float]:
    """Bytes; in stage 3 the shares of all processes add up to one model."""
    if not setting.offload:
        return {}
    width, trained = setting.weight_width, setting.trained
    kept = trained if setting.zero_stage == 3 else setting.num_processes * model_state.partition(setting)
    terms: dict[str, float] = {"states": 12 * trained, "gradients": (4 + width) * trained + width * kept}
    if setting.zero_stage == 3:
        terms["gradients"] = (4 + width) * trained
        terms["weights"] = width * setting.held
        terms["reference"] = width * setting.shape.parameters if setting.has_reference else 0
    return terms
