"""Count weights, gradients, optimiser states and buffers of the policy and its reference model.

As mentor.policy makes them: float32 weights in plain torch; under DeepSpeed weights in the model's type, float32
masters and moments partitioned over ranks (ZeRO, arXiv:1910.02054), and DeepSpeed 0.19's temporary buffers. Gradients
are added up in float32 everywhere.
"""

from __future__ import annotations

from mentor.planning.terms import Terms, gib
from mentor.planning.workload import Workload

ZERO3_LIVE = 10**9  # parameters that ZeRO 3 keeps gathered, and updates at once (DeepSpeed's defaults)
CUDA_GIB = 0.6  # context, cuBLAS workspaces and loaded kernels of one process
BUCKET_ELEMENTS = 2**24  # gradients that plain torch sums over the processes at once (mentor/policy/torch_engine.py)
NCCL_GIB = 0.5  # communication buffers, where there are several processes


def context(workload: Workload) -> Terms:
    if not workload.device.is_gpu:
        return {}
    return {"CUDA": CUDA_GIB + (NCCL_GIB if workload.num_processes > 1 else 0)}


def weights(workload: Workload) -> Terms:
    if workload.zero_stage == 3 and workload.offload:
        return {}
    share = workload.num_processes if workload.zero_stage == 3 else 1
    return gib({"weights": workload.weight_bytes / share})


def states(workload: Workload) -> Terms:
    """Count float32 masters (of ZeRO), AdamW's two moments (muon keeps one for matrices), and gradients that stay."""
    if workload.offload:
        return {}
    trained = workload.trained
    if workload.zero_stage:
        share = trained / workload.num_processes
        return gib({"float32 master": 4 * share, "moments": 8 * share, "gradients": _lasting_gradients(workload)})
    spared = 4 * workload.shape.matrices if workload.optimizer == "muon" and not workload.lora_rank else 0
    return gib({"moments": 8 * trained - spared})


def _lasting_gradients(workload: Workload) -> float:
    """Count the gradients that ZeRO allocates at its start and keeps: all in stage 1 with bfloat16, its part in 3."""
    if workload.zero_stage == 3 and not workload.offload:
        return 4 * workload.trained / workload.num_processes
    return 4 * workload.trained if _zero_1_in_bfloat16(workload) else 0.0


def _zero_1_in_bfloat16(workload: Workload) -> bool:
    """Whether DeepSpeed takes its own optimiser of this case, which keeps float32 gradients of all parameters."""
    return workload.zero_stage == 1 and workload.weight_width == 2 and not workload.offload


def reference(workload: Workload, scores: bool = False) -> Terms:
    """scores: while it does. An offloaded one is on the device then alone; ZeRO 3 gathers it layer by layer."""
    offloaded = workload.reference_offload or (workload.zero_stage == 3 and workload.offload)
    if not workload.has_reference or (offloaded and (workload.zero_stage == 3 or not scores)):
        return {}
    share = workload.num_processes if workload.zero_stage == 3 else 1
    return gib({"reference": workload.weight_width * workload.shape.parameters / share})


def teacher(workload: Workload, scores: bool = False) -> Terms:
    """Count a teacher of distillation, which is held as a reference model is. scores: while it does."""
    taught = workload.teacher
    if taught is None or (taught.offload and (workload.zero_stage == 3 or not scores)):
        return {}
    share = workload.num_processes if workload.zero_stage == 3 else 1
    return gib({"teacher": taught.width * taught.shape.parameters / share})


def buffers(workload: Workload) -> Terms:
    """Count ZeRO's reduce bucket with its flattened and its float32 copy, with offload also those of one gradient.

    Plain torch sums a bucket of its own over several processes.
    """
    if not workload.zero_stage:
        bucket = 4 * min(BUCKET_ELEMENTS, workload.trained) if workload.num_processes > 1 else 0
        return gib({"reduce buffers": bucket}) if bucket else {}
    width = workload.weight_width
    bucket = 8 * min(workload.bucket_elements, workload.trained)  # in float32 it is its own copy
    waiting = (2 * width + 4) * largest_trained(workload) if workload.offload else 0
    return gib({"reduce buffers": bucket + waiting})


def starting(workload: Workload) -> Terms:
    """Count DeepSpeed's masters and its float32 gradient of zeros; it makes the moments in the first step."""
    if not workload.zero_stage or workload.offload:
        return {}
    share = workload.trained / workload.num_processes
    return gib(
        {
            "float32 master": 4 * share,
            "gradients": _lasting_gradients(workload),
            "first gradient": 4 * _updated_at_once(workload),
        }
    )


def gathered(workload: Workload) -> Terms:
    if workload.zero_stage != 3:
        return {}
    return gib({"gathered layers": workload.weight_width * min(workload.held, ZERO3_LIVE)})


def gradients(workload: Workload) -> Terms:
    """Count the gradients that are kept between the micro-batches of a minibatch, besides those that stay."""
    trained = workload.trained
    if workload.offload or _lasting_gradients(workload):
        return {}
    if workload.zero_stage != 2:
        return gib({"gradients": 4 * trained})
    compact = workload.weight_width == 2  # then one float32 tensor of this rank's partition
    return gib({"gradients": 4 * (trained / workload.num_processes if compact else partition(workload))})


def new_gradients(workload: Workload) -> float:
    """Count the gradients of one micro-batch before they are added to those kept, in bytes.

    In stage 1 with bfloat16, and in stage 2 with float32, they are added after the backward pass.
    """
    if _zero_1_in_bfloat16(workload):
        return 2 * workload.trained
    if workload.zero_stage == 2 and workload.weight_width == 4 and not workload.offload:
        return 4 * partition(workload)
    return workload.weight_width * largest_trained(workload)


def step(workload: Workload) -> Terms:
    """Count the temporary tensors of the optimiser step, whose AdamW is fused and makes none.

    ZeRO copies the gradients that it updates; in bfloat16 and up to stage 2 they lie in place, and at most the last
    micro-batch's are left, and the norm's copy of one.
    """
    if workload.offload:
        return {}
    if not workload.zero_stage:
        return gib({"muon at work": 20 * workload.shape.largest_linear if workload.optimizer == "muon" else 0})
    if workload.zero_stage == 3 or workload.weight_width == 4:
        return gib({"gradients at work": 4 * _updated_at_once(workload)})
    left = 2 * workload.trained if workload.zero_stage == 1 else 4 * largest_trained(workload)
    return gib({"gradients at work": left})


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
