"""Count weights, gradients, optimiser states and buffers of the policy and its reference model.

As mentor.policy makes them: float32 weights in plain torch; under DeepSpeed weights and gradients in the model's type,
float32 masters and moments partitioned over ranks (ZeRO, arXiv:1910.02054), and DeepSpeed 0.19's temporary buffers.
"""

from __future__ import annotations

from mentor.planning.terms import Terms, gib
from mentor.planning.workload import Workload

ZERO3_LIVE = 10**9  # parameters that ZeRO 3 keeps gathered, and updates at once (DeepSpeed's defaults)
CUDA_GIB = 0.6  # context, cuBLAS workspaces and loaded kernels of one process
NCCL_GIB = 0.5  # communication buffers, where there are several processes


def context(workload: Workload) -> Terms:
    if not workload.device.is_gpu:
        return {}
    return {"CUDA": CUDA_GIB + (NCCL_GIB if workload.num_processes > 1 else 0)}


def weights(workload: Workload) -> Terms:
    if workload.zero_stage == 3 and workload.offload:
        return {}
    share = workload.num_processes if workload.zero_stage == 3 else 1
    return gib({"weights": workload.weight_width * workload.held / share})


def states(workload: Workload) -> Terms:
    """Count float32 masters (of ZeRO) and AdamW's two moments; muon keeps one for matrices."""
    if workload.offload:
        return {}
    trained = workload.trained
    if workload.zero_stage:
        share = trained / workload.num_processes
        return gib({"float32 master": 4 * share, "moments": 8 * share})
    spared = 4 * workload.shape.matrices if workload.optimizer == "muon" and not workload.lora_rank else 0
    return gib({"moments": 8 * trained - spared})


def reference(workload: Workload, scores: bool = False) -> Terms:
    """scores: while it does. An offloaded one is on the device then alone; ZeRO 3 gathers it layer by layer."""
    offloaded = workload.reference_offload or (workload.zero_stage == 3 and workload.offload)
    if not workload.has_reference or (offloaded and (workload.zero_stage == 3 or not scores)):
        return {}
    share = workload.num_processes if workload.zero_stage == 3 else 1
    return gib({"reference": workload.weight_width * workload.shape.parameters / share})


def buffers(workload: Workload) -> Terms:
    """Count ZeRO's reduce bucket and its flattened copy; with offload also the buffer of the largest gradient."""
    if not workload.zero_stage:
        return {}
    width = workload.weight_width
    bucket = 2 * width * min(workload.bucket_elements, workload.trained)
    waiting = (2 * width + 4) * largest_trained(workload) if workload.offload else 0
    return gib({"reduce buffers": bucket + waiting})


def starting(workload: Workload) -> Terms:
    """Count DeepSpeed's masters and its float32 gradient of zeros; it makes the moments in the first step."""
    if not workload.zero_stage or workload.offload:
        return {}
    share = workload.trained / workload.num_processes
    return gib({"float32 master": 4 * share, "first gradient": 4 * _updated_at_once(workload)})


def gathered(workload: Workload) -> Terms:
    if workload.zero_stage != 3:
        return {}
    return gib({"gathered layers": workload.weight_width * min(workload.held, ZERO3_LIVE)})


def gradients(workload: Workload) -> Terms:
    """Count the gradients that are kept between the micro-batches of a minibatch."""
    width, trained = workload.weight_width, workload.trained
    if workload.zero_stage in (0, 1):
        return gib({"gradients": width * trained})
    if workload.offload:
        return {}
    kept = trained / workload.num_processes if workload.zero_stage == 3 else partition(workload)
    return gib({"gradients": width * kept})


def new_gradients(workload: Workload) -> float:
    """Count the gradients of one micro-batch before they are added to those kept, in bytes.

    Only ZeRO 2 adds them after the backward pass.
    """
    if workload.zero_stage != 2 or workload.offload:
        return workload.weight_width * largest_trained(workload)
    return workload.weight_width * partition(workload)


def step(workload: Workload) -> Terms:
    """Count the temporary tensors of the optimiser step.

    ZeRO flattens and widens the gradients that it updates, and torch's AdamW makes a tensor (on a CPU two) of their
    size. Plain torch uses the fused AdamW, which makes none.
    """
    if workload.offload:
        return {}
    if not workload.zero_stage:
        return gib({"muon at work": 20 * workload.shape.largest_linear if workload.optimizer == "muon" else 0})
    work = 4 + (4 if workload.device.is_gpu else 8)
    return gib({"float32 gradients, AdamW at work": (work - _freed(workload)) * _updated_at_once(workload)})


def _freed(workload: Workload) -> int:
    """Return the bytes of the kept gradient that are freed before AdamW's step: all of them up to ZeRO 2."""
    return workload.weight_width if workload.zero_stage < 3 else 0


def save(workload: Workload) -> Terms:
    """Count ZeRO's float32 master and moments of one gathered parameter, or one weight with its adapter merged in."""
    state = 12 * largest_trained(workload) if workload.zero_stage else 0
    merging = 16 * workload.shape.largest_linear if workload.lora_rank else 0
    return gib({"one parameter": max(state, merging)}) if state or merging else {}


def partition(workload: Workload) -> float:
    """Count the gradients of a rank under ZeRO 2; a parameter that spans several partitions is kept whole in each."""
    share = workload.trained / workload.num_processes
    return min(workload.trained, share + (largest_trained(workload) if workload.num_processes > 1 else 0))


def _updated_at_once(workload: Workload) -> float:
    share = workload.trained / workload.num_processes
    return min(share, ZERO3_LIVE + largest_trained(workload)) if workload.zero_stage == 3 else share


def largest_trained(workload: Workload) -> int:
    shape = workload.shape
    if not workload.lora_rank:
        return shape.largest
    return workload.lora_rank * max(max(pair) for pair in shape.linear_layers)
