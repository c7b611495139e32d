"""What the policy and its reference hold, whatever tokens there are: weights, gradients, optimiser states, buffers.

As mentor.policy makes them: float32 weights in plain torch; under DeepSpeed weights and gradients in the model's type,
float32 masters and moments shared out (ZeRO, arXiv:1910.02054), and what DeepSpeed 0.19 makes on the way.
"""

from __future__ import annotations

from mentor.planning.setting import Setting, Terms, gib

ZERO3_LIVE = 10**9  # parameters that ZeRO 3 keeps gathered, and updates at once (DeepSpeed's defaults)
CUDA_GIB = 0.6  # context, cuBLAS workspaces and loaded kernels of one process
NCCL_GIB = 0.5  # communication buffers, where there are several processes


def context(setting: Setting) -> Terms:
    if not setting.device.is_gpu:
        return {}
    return {"CUDA": CUDA_GIB + (NCCL_GIB if setting.num_processes > 1 else 0)}


def weights(setting: Setting) -> Terms:
    if setting.zero_stage == 3 and setting.offload:
        return {}
    share = setting.num_processes if setting.zero_stage == 3 else 1
    return gib({"weights": setting.weight_width * setting.held / share})


def states(setting: Setting) -> Terms:
    """Float32 masters (of ZeRO) and AdamW's two moments; muon keeps one for matrices."""
    if setting.offload:
        return {}
    trained = setting.trained
    if setting.zero_stage:
        share = trained / setting.num_processes
        return gib({"float32 master": 4 * share, "moments": 8 * share})
    spared = 4 * setting.shape.matrices if setting.optimizer == "muon" and not setting.lora_rank else 0
    return gib({"moments": 8 * trained - spared})


def reference(setting: Setting) -> Terms:
    if not setting.has_reference or (setting.zero_stage == 3 and setting.offload):
        return {}
    share = setting.num_processes if setting.zero_stage == 3 else 1
    return gib({"reference": setting.weight_width * setting.shape.parameters / share})


def buffers(setting: Setting) -> Terms:
    """ZeRO's reduce bucket and its flattened copy; with offload, where the largest gradient waits to be copied."""
    if not setting.zero_stage:
        return {}
    width = setting.weight_width
    bucket = 2 * width * min(setting.bucket_elements, setting.trained)
    waiting = (2 * width + 4) * largest_trained(setting) if setting.offload else 0
    return gib({"reduce buffers": bucket + waiting})


def starting(setting: Setting) -> Terms:
    """DeepSpeed makes masters and a float32 gradient of zeros; moments come with the first step."""
    if not setting.zero_stage or setting.offload:
        return {}
    share = setting.trained / setting.num_processes
    return gib({"float32 master": 4 * share, "first gradient": 4 * _updated_at_once(setting)})


def gathered(setting: Setting) -> Terms:
    if setting.zero_stage != 3:
        return {}
    return gib({"gathered layers": setting.weight_width * min(setting.held, ZERO3_LIVE)})


def gradients(setting: Setting) -> Terms:
    """What is kept between the micro-batches of a minibatch."""
    width, trained = setting.weight_width, setting.trained
    if setting.zero_stage in (0, 1):
        return gib({"gradients": width * trained})
    if setting.offload:
        return {}
    kept = trained / setting.num_processes if setting.zero_stage == 3 else partition(setting)
    return gib({"gradients": width * kept})


def new_gradients(setting: Setting) -> float:
    """Of the micro-batch at hand, before they are added to those kept: only ZeRO 2 does so after the backward pass."""
    if setting.zero_stage != 2 or setting.offload:
        return setting.weight_width * largest_trained(setting)
    return setting.weight_width * partition(setting)


def step(setting: Setting) -> Terms:
    """ZeRO flattens and widens the gradients it updates, and torch's AdamW makes a tensor (on a CPU two) of their size;
    plain torch has the fused one, which makes none.
    """
    if setting.offload:
        return {}
    if not setting.zero_stage:
        return gib({"muon at work": 20 * setting.shape.largest_linear if setting.optimizer == "muon" else 0})
    work = 4 + (4 if setting.device.is_gpu else 8)
    return gib({"float32 gradients, AdamW at work": (work - _freed(setting)) * _updated_at_once(setting)})


def _freed(setting: Setting) -> int:
    """Bytes of the kept gradient that are gone by the time AdamW works: all of them before ZeRO 3."""
    return setting.weight_width if setting.zero_stage < 3 else 0


def save(setting: Setting) -> Terms:
    """ZeRO's float32 master and moments of one parameter, whole."""
    return gib({"one parameter": 12 * largest_trained(setting)}) if setting.zero_stage else {}


def partition(setting: Setting) -> float:
    """Gradients of ZeRO 2 in one process: a parameter that lies in several partitions is kept whole in each."""
    share = setting.trained / setting.num_processes
    return min(setting.trained, share + (largest_trained(setting) if setting.num_processes > 1 else 0))


def _updated_at_once(setting: Setting) -> float:
    share = setting.trained / setting.num_processes
    return min(share, ZERO3_LIVE + largest_trained(setting)) if setting.zero_stage == 3 else share


def largest_trained(setting: Setting) -> int:
    shape = setting.shape
    if not setting.lora_rank:
        return shape.largest
    return setting.lora_rank * max(max(pair) for pair in shape.linear_layers)
