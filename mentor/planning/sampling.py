"""What sampling holds: the cache of the embedded sampler, vLLM awake and asleep, and handing it new weights."""

from __future__ import annotations

from mentor.planning import activations
from mentor.planning.setting import Setting, Terms, add, gib

SAMPLE_ELEMENTS = 2**24  # probabilities sampled from at once by sampler=transformers, held four times in float64
OWN_GPU_SHARE = 0.9  # of GPUs that are vLLM's alone (mentor/sampling/vllm_engine.py)
VLLM_WORK_GIB = 1.5  # vLLM's activations, sampling buffers and CUDA graphs; they stay while it sleeps


def own_cache(setting: Setting) -> Terms:
    """sampler=transformers, at worst: every row as long as a trajectory may be. It sleeps outside of rollouts."""
    if setting.sampler != "transformers":
        return {}
    cache = setting.width * setting.shape.cache_elements(setting.max_running * setting.max_tokens)
    sampling = 4 * 8 * min(SAMPLE_ELEMENTS, setting.max_running * setting.shape.vocab_size)
    return gib({"key-value cache": cache, "sampling": sampling, **activations.narrow_copies(setting)})


def vllm_awake(setting: Setting) -> Terms:
    if setting.colocated_vllm and setting.device.is_gpu:
        return {"vLLM's share": vllm_share(setting)}
    return vllm_asleep(setting)


def vllm_asleep(setting: Setting) -> Terms:
    """On a CPU it does not sleep, and packs its weights, a tied head apart from the embedding."""
    if setting.device.is_gpu:
        return {"vLLM asleep": VLLM_WORK_GIB} if setting.colocated_vllm else {}
    if setting.sampler != "vllm":
        return {}
    again = setting.shape.embedding if setting.shape.tie_word_embeddings else 0
    weights = setting.width * (setting.shape.parameters + again)
    return {**gib({"vLLM's weights": weights}), "vLLM's cache": setting.kv_cache_gib}


def push(setting: Setting) -> Terms:
    """One whole parameter at a time, gathered and copied (with adapters, merged in float32), and the copies that vLLM
    keeps until a layer is complete. It is awake without its cache. The embedded sampler has the policy's own weights.
    """
    if setting.sampler != "vllm":
        return {}
    shape = setting.shape
    whole = 2 * setting.weight_width * shape.largest
    merged = 14 * shape.largest_linear if setting.lora_rank else 0
    layer = setting.width * shape.matrices / shape.num_hidden_layers
    terms = gib({"one parameter": max(whole, merged), "copies of one layer": layer})
    if setting.colocated_vllm and setting.device.is_gpu:
        terms |= gib({"vLLM's weights": setting.width * shape.parameters})
    return add(terms, vllm_asleep(setting))


def vllm_share(setting: Setting) -> float:
    share = setting.gpu_memory_share if setting.placement == "colocated" else OWN_GPU_SHARE
    return share * setting.device.gib


def vllm_least(setting: Setting) -> Terms:
    """What vLLM's share has to hold: its weights, its work, and the cache of one trajectory."""
    weights = setting.width * setting.shape.parameters / setting.cards
    return {**gib({"weights": weights}), **one_sequence(setting), "work": VLLM_WORK_GIB}


def one_sequence(setting: Setting) -> Terms:
    cache = setting.width * setting.shape.cache_elements(setting.max_tokens) / setting.cards
    return gib({"cache of one sequence": cache})


def sequences(setting: Setting) -> float | None:
    if setting.sampler != "vllm":
        return None
    (one,) = one_sequence(setting).values()
    if not setting.device.is_gpu:
        return setting.kv_cache_gib / one
    least = vllm_least(setting)
    return max(0.0, (vllm_share(setting) - least["weights"] - least["work"]) / one)
