"""Estimate the memory of sampling: the embedded sampler, vLLM awake and asleep, and weight pushes."""

from __future__ import annotations

from mentor.planning import activations
from mentor.planning.terms import Terms, add, gib
from mentor.planning.workload import Workload

SAMPLE_ELEMENTS = {"cpu": 2**19, "cuda": 2**24}
"""Probabilities sampled from at once by sampler=transformers, held four times in float64."""
OWN_GPU_SHARE = 0.9  # of GPUs that are vLLM's alone (mentor/sampling/vllm_engine.py)
VLLM_WORK_GIB = 1.5  # vLLM's activations, sampling buffers and CUDA graphs; they stay while it sleeps


def own_cache(workload: Workload) -> Terms:
    """Count the largest cache of sampler=transformers in the policy's process; it is empty outside of rollouts."""
    if workload.sampler != "transformers" or workload.separate_embedded:
        return {}
    return _cache(workload)


def separate_embedded(workload: Workload) -> Terms:
    """Count one embedded sampler in a process of its own: float32 weights, and its largest cache."""
    return {**gib({"weights": 4 * workload.held}), **_cache(workload)}


def _cache(workload: Workload) -> Terms:
    """Count a cache in which every row has its full length."""
    cache = workload.width * workload.shape.cache_elements(workload.max_running * workload.max_tokens)
    words = workload.shape.vocab_size
    at_once = max(words, SAMPLE_ELEMENTS["cuda" if workload.device.is_gpu else "cpu"])
    sampling = 4 * 8 * min(at_once, workload.max_running * words)
    return gib({"key-value cache": cache, "sampling": sampling, **activations.narrow_copies(workload)})


def vllm_awake(workload: Workload) -> Terms:
    if workload.colocated_vllm and workload.device.is_gpu:
        return {"vLLM's share": vllm_share(workload)}
    return vllm_asleep(workload)


def vllm_asleep(workload: Workload) -> Terms:
    """Count what vLLM holds while asleep. On a CPU it does not sleep, and packs a tied LM head separately."""
    if workload.device.is_gpu:
        return {"vLLM asleep": VLLM_WORK_GIB} if workload.colocated_vllm else {}
    if workload.sampler != "vllm":
        return {}
    again = workload.shape.embedding if workload.shape.tie_word_embeddings else 0
    weights = workload.width * (workload.held + again)
    return {**gib({"vLLM's weights": weights}), "vLLM's cache": workload.kv_cache_gib}


def push(workload: Workload) -> Terms:
    """Count one gathered and copied parameter, and the copies that vLLM keeps until a layer is complete.

    Of adapters alone there are two copies, and one gathered parameter of the base is compared at a time. vLLM is awake
    then, without its cache. sampler=transformers uses the policy's weights.
    """
    if workload.sampler != "vllm":
        return {}
    shape = workload.shape
    one = workload.weight_width * shape.largest
    layer = workload.width * shape.matrices / shape.num_hidden_layers
    if workload.lora_rank:
        terms = gib({"one parameter": one, "copies of the adapters": 2 * workload.width * workload.trained})
    else:
        terms = gib({"one parameter": 2 * one, "copies of one layer": layer})
    if workload.colocated_vllm and workload.device.is_gpu:
        terms |= gib({"vLLM's weights": workload.width * workload.held})
    return add(terms, vllm_asleep(workload))


def vllm_share(workload: Workload) -> float:
    share = workload.gpu_memory_share if workload.placement == "colocated" else OWN_GPU_SHARE
    if share is None:
        raise ValueError("the share of vLLM is not decided yet: `make_plan` does")
    return share * workload.device.gib


def vllm_least(workload: Workload) -> Terms:
    """Count the least that vLLM's share must hold: its weights, its buffers, and the cache of one trajectory."""
    weights = workload.width * workload.held / workload.cards
    return {**gib({"weights": weights}), **one_sequence(workload), "work": VLLM_WORK_GIB}


def one_sequence(workload: Workload) -> Terms:
    cache = workload.width * workload.shape.cache_elements(workload.max_tokens) / workload.cards
    return gib({"cache of one sequence": cache})


def sequences(workload: Workload) -> float | None:
    if workload.sampler != "vllm":
        return None
    (one,) = one_sequence(workload).values()
    if not workload.device.is_gpu:
        return workload.kv_cache_gib / one
    least = vllm_least(workload)
    return max(0.0, (vllm_share(workload) - least["weights"] - least["work"]) / one)
