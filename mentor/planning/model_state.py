"""What the policy and its reference hold, whatever tokens there are: weights, gradients, optimiser states, buffers.

As mentor.policy makes them: float32 weights in plain torch; under DeepSpeed weights and gradients in the model's type,
float32 masters and moments shared out (ZeRO, arXiv:1910.02054), and what DeepSpeed 0.19 makes on the way.
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
    """Float32 masters (of ZeRO) and AdamW's two moments; muon keeps one for matrices."""
    if workload.offload:
        return {}
    trained = workload.trained
    if workload.zero_stage:
        share = trained / workload.num_processes
        return gib({"float32 master": 4 * share, "moments": 8 * share})
    spared = 4 * workload.shape.matrices if workload.optimizer == "muon" and not workload.lora_rank else 0
    return gib({"moments": 8 * trained - spared})


def reference(workload: Workload) -> Terms:
    if not workload.has_reference or (workload.zero_stage == 3 and workload.offload):
        return {}
    share = workload.num_processes if workload.zero_stage == 3 else 1
    return gib({"reference": workload.weight_width * workload.shape.parameters / share})


def buffers(workload: Workload) -> Terms:
    """ZeRO's reduce bucket and its flattened copy; with offload, where the largest gradient waits to be copied."""
    if not workload.zero_stage:
        return {}
    width = workload.weight_width
    bucket = 2 * width * min(workload.bucket_elements, workload.trained)
    waiting = (2 * width + 4) * largest_trained(workload) if workload.offload else 0
    return gib({"reduce buffers": bucket + waiting})


def starting(workload: Workload) -> Terms:
    """DeepSpeed makes masters and a float32 gradient of zeros; moments come with the first step."""
    if not workload.zero_stage or workload.offload:
        return {}
    share = workload.trained / workload.num_processes
    return gib({"float32 master": 4 * share, "first gradient": 4 * _updated_at_once(workload)})


def gathered(workload: Workload) -> Terms:
    if workload.zero_stage != 3:
        return {}
    return gib({"gathered layers": workload.weight_width * min(workload.held, ZERO3_LIVE)})


def gradients(workload: Workload) -> Terms:
    """What is kept between the micro-batches of a minibatch."""
    width, trained = workload.weight_width, workload.trained
    if workload.zero_stage in (0, 1):
        return gib({"gradients": width * trained})
    if workload.offload:
        return {}
    kept = trained / workload.num_processes if workload.zero_stage == 3 else partition(workload)
    return gib({"gradients": width * kept})


def new_gradients(workload: Workload) -> float:
    """Of the micro-batch at hand, before they are added to those kept: only ZeRO 2 does so after the backward pass."""
    if workload.zero_stage != 2 or workload.offload:
        return workload.weight_width * largest_trained(workload)
    return workload.weight_width * partition(workload)


def step(workload: Workload) -> Terms:
    """ZeRO flattens and widens the gradients it updates, and torch's AdamW makes a tensor (on a CPU two) of their size;
    plain torch has the fused one, which makes none.
    """
    if workload.offload:
        return {}
    if not workload.zero_stage:
        return gib({"muon at work": 20 * workload.shape.largest_linear if workload.optimizer == "muon" else 0})
    work = 4 + (4 if workload.device.is_gpu else 8)
    return gib({"float32 gradients, AdamW at work": (work - _freed(workload)) * _updated_at_once(workload)})


def _freed(workload: Workload) -> int:
    """Bytes of the kept gradient that are gone by the time AdamW works: all of them before ZeRO 3."""
    return workload.weight_width if workload.zero_stage < 3 else 0


def save(workload: Workload) -> Terms:
    """ZeRO's float32 master and moments of one parameter, whole."""
    return gib({"one parameter": 12 * largest_trained(workload)}) if workload.zero_stage else {}


def partition(workload: Workload) -> float:
    """Gradients of ZeRO 2 in one process: a parameter that lies in several partitions is kept whole in each."""
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
