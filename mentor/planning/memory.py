"""The memory of an RL run, phase by phase: what each process's GPU holds, and what the machine's own memory holds.

Weights, gradients, optimiser states and caches are counted. Estimates are: activations (counted for Qwen3 in
transformers, after Korthikanti et al., arXiv:2205.05198, without attention scores, which fused attention never keeps),
what CUDA, vLLM and a Python process take, and the share left free. Names in capitals are the estimates to adjust.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from mentor.planning.shape import ModelShape

GIB = 2**30
CHUNK_ELEMENTS = {"cpu": 2**22, "cuda": 2**26}  # logits made at once (mentor/policy/head.py), about three times float32
SAMPLE_ELEMENTS = 2**24  # probabilities sampled from at once by sampler=transformers, held four times in float64
ZERO3_LIVE = 10**9  # parameters that ZeRO 3 keeps gathered, and updates at once (DeepSpeed's defaults)
SHARD = 2**30  # bytes of a checkpoint file, built in host memory
OWN_GPU_SHARE = 0.9  # of GPUs that are vLLM's alone (mentor/sampling/vllm_engine.py)

FREE_SHARE = 0.06  # of a GPU: fragmentation, and what a card has less than its name says (a "24 GB" one: 22.5 to 24)
CUDA_GIB = 0.6  # context, cuBLAS workspaces and loaded kernels of one process
NCCL_GIB = 0.5  # communication buffers, where there are several processes
VLLM_WORK_GIB = 1.5  # vLLM's activations, sampling buffers and CUDA graphs; they stay while it sleeps
PROCESS_GIB = 2.0  # host memory of one process with torch and CUDA libraries
CPU_PROCESS_GIB = 0.8  # of one without CUDA


@dataclass(frozen=True)
class Device:
    """gib: memory of one GPU; without one, of a process's share of the machine. host_gib: of the machine beside its
    GPUs, None where that is not known and not judged."""

    gib: float
    is_gpu: bool = True
    host_gib: float | None = None


@dataclass(frozen=True)
class Setting:
    """What of a run decides its memory; names and units are those of the configuration."""

    shape: ModelShape
    device: Device
    dtype: str = "bfloat16"
    num_processes: int = 1
    zero_stage: int = 0
    offload: bool = False
    bucket_elements: int = 50_000_000
    lora_rank: int = 0
    kl: bool = False
    optimizer: str = "adamw"
    gradient_checkpointing: bool = False
    micro_batch_tokens: int = 8192
    packing: bool = False
    max_tokens: int = 1024
    max_turn_tokens: int = 96
    sampler: str = "transformers"
    max_running: int = 256
    placement: str = "colocated"
    tensor_parallel: int = 1
    gpu_memory_share: float = 0.5
    kv_cache_gib: float = 1.0

    @property
    def width(self) -> int:
        """Bytes of a number in the forward pass."""
        return 2 if self.dtype == "bfloat16" else 4

    @property
    def weight_width(self) -> int:
        """Bytes of a weight: plain torch trains float32 ones, under autocast where the forward pass is narrower."""
        return self.width if self.zero_stage else 4

    @property
    def trained(self) -> int:
        """Parameters that are trained."""
        return self.shape.adapters(self.lora_rank) if self.lora_rank else self.shape.parameters

    @property
    def held(self) -> int:
        """Parameters of the model and its adapters."""
        return self.shape.parameters + self.shape.adapters(self.lora_rank)

    @property
    def tokens(self) -> int:
        """Of the largest forward: one trajectory is not divided."""
        return max(self.micro_batch_tokens, self.max_tokens)

    @property
    def has_reference(self) -> bool:
        """Whether the KL term keeps a second model; adapters are switched off instead."""
        return self.kl and not self.lora_rank

    @property
    def cards(self) -> int:
        """GPUs of one vLLM engine."""
        return self.tensor_parallel if self.placement == "separate" else 1

    @property
    def colocated_vllm(self) -> bool:
        return self.sampler == "vllm" and self.placement == "colocated"


Terms = dict[str, float]
"""GiB by name."""


@dataclass(frozen=True)
class Phase:
    """memory: GPU, vLLM's share, vLLM's GPU, or host. available: None where it is not judged."""

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
    """sequences: trajectories of full length that vLLM's cache holds at once; None with another sampler."""

    phases: tuple[Phase, ...]
    sequences: float | None = None
    misfits: tuple[Phase, ...] = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "misfits", tuple(phase for phase in self.phases if not phase.fits))

    @property
    def peak(self) -> Phase:
        """The phase that needs most of a GPU (or of a process, without one)."""
        return max((phase for phase in self.phases if phase.memory == self.phases[0].memory), key=lambda p: p.total)

    @property
    def worst(self) -> Phase:
        """The misfit that is furthest from fitting."""
        return max(self.misfits, key=lambda phase: phase.total / (phase.available or 1))


def make_plan(setting: Setting) -> Plan:
    """Every phase of a training step, with start and save. The first phases are those of the policy's own device."""
    on_gpu, available = setting.device.is_gpu, setting.device.gib * (1 - FREE_SHARE)
    policy, host = _policy_phases(setting), _host_phases(setting)
    if not on_gpu:
        alike = {name: _scaled(terms, 1 / setting.num_processes) for name, terms in host.items()}
        merged = {name: _sum(terms, alike.get(name, alike["run"])) for name, terms in policy.items()}
        phases = [Phase(name, "process", terms, available) for name, terms in merged.items()]
        if setting.sampler == "vllm":
            phases.append(Phase("one sequence", "vLLM's cache", _one_sequence(setting), setting.kv_cache_gib))
        return Plan(tuple(phases), _sequences(setting))
    phases = [Phase(name, "GPU", terms, available) for name, terms in policy.items()]
    if setting.sampler == "vllm":
        phases.append(Phase("one sequence", "vLLM's share", _vllm_least(setting), _vllm_share(setting)))
    if setting.sampler == "vllm" and setting.placement == "separate":
        phases.append(Phase("rollout", "vLLM's GPU", {"vLLM's share": _vllm_share(setting)}, available))
    phases += [Phase(name, "host", terms, setting.device.host_gib) for name, terms in host.items()]
    return Plan(tuple(phases), _sequences(setting))


# --- the policy's own device -----------------------------------------------------------------------------------------


def _policy_phases(setting: Setting) -> dict[str, Terms]:
    lasting = _sum(_context(setting), _weights(setting), _states(setting), _reference(setting), _buffers(setting))
    asleep, awake, gathered = _vllm_asleep(setting), _vllm_awake(setting), _gathered(setting)
    return {
        "start": _sum(_context(setting), _weights(setting), _reference(setting), _starting(setting)),
        "rollout": _sum(lasting, awake, _own_cache(setting)),
        "logprobs": _sum(lasting, asleep, gathered, _forward(setting)),
        "backward": _sum(lasting, asleep, gathered, _gradients(setting), _backward(setting)),
        "step": _sum(lasting, asleep, _gradients(setting), _step(setting)),
        "push": _sum(lasting, awake, _larger(gathered, _push(setting))),
        "save": _sum(lasting, awake, _save(setting)),
    }


def _context(setting: Setting) -> Terms:
    if not setting.device.is_gpu:
        return {}
    return {"CUDA": CUDA_GIB + (NCCL_GIB if setting.num_processes > 1 else 0)}


def _weights(setting: Setting) -> Terms:
    if setting.zero_stage == 3 and setting.offload:
        return {}
    share = setting.num_processes if setting.zero_stage == 3 else 1
    return _gib({"weights": setting.weight_width * setting.held / share})


def _states(setting: Setting) -> Terms:
    """Float32 masters (of ZeRO) and AdamW's two moments; muon keeps one for matrices."""
    if setting.offload:
        return {}
    trained = setting.trained
    if setting.zero_stage:
        share = trained / setting.num_processes
        return _gib({"float32 master": 4 * share, "moments": 8 * share})
    spared = 4 * setting.shape.matrices if setting.optimizer == "muon" and not setting.lora_rank else 0
    return _gib({"moments": 8 * trained - spared})


def _reference(setting: Setting) -> Terms:
    if not setting.has_reference or (setting.zero_stage == 3 and setting.offload):
        return {}
    share = setting.num_processes if setting.zero_stage == 3 else 1
    return _gib({"reference": setting.weight_width * setting.shape.parameters / share})


def _buffers(setting: Setting) -> Terms:
    """ZeRO's reduce bucket and its flattened copy; with offload, where the largest gradient waits to be copied."""
    if not setting.zero_stage:
        return {}
    width = setting.weight_width
    bucket = 2 * width * min(setting.bucket_elements, setting.trained)
    waiting = (2 * width + 4) * _largest_trained(setting) if setting.offload else 0
    return _gib({"reduce buffers": bucket + waiting})


def _starting(setting: Setting) -> Terms:
    """DeepSpeed makes masters and a float32 gradient of zeros; moments come with the first step."""
    if not setting.zero_stage or setting.offload:
        return {}
    share = setting.trained / setting.num_processes
    return _gib({"float32 master": 4 * share, "first gradient": 4 * _updated_at_once(setting)})


def _gathered(setting: Setting) -> Terms:
    if setting.zero_stage != 3:
        return {}
    return _gib({"gathered layers": setting.weight_width * min(setting.held, ZERO3_LIVE)})


def _gradients(setting: Setting) -> Terms:
    """What is kept between the micro-batches of a minibatch."""
    width, trained = setting.weight_width, setting.trained
    if setting.zero_stage in (0, 1):
        return _gib({"gradients": width * trained})
    if setting.offload:
        return {}
    kept = trained / setting.num_processes if setting.zero_stage == 3 else _partition(setting)
    return _gib({"gradients": width * kept})


def _forward(setting: Setting) -> Terms:
    """The larger of two moments: a layer's turn, with about half of what it would save, and the output head's."""
    hidden = setting.width * setting.shape.hidden_size * setting.tokens
    layer = {"layer at work": setting.tokens * _saved_by_layer(setting) / 2 + 2 * hidden + _mask(setting)}
    head = {"final hidden states": 3 * hidden, "logits chunk": _chunk(setting)}
    return _gib({**_narrow_copies(setting), **_larger(layer, head)})


def _backward(setting: Setting) -> Terms:
    """The larger of two moments: the output head's turn, and a layer's, with the gradients it hands over."""
    shape, width = setting.shape, setting.width
    saved = _saved_by_layer(setting)
    stream = 4 if setting.zero_stage == 0 else width
    kept = stream * shape.hidden_size if setting.gradient_checkpointing else saved
    layer = (saved if setting.gradient_checkpointing else 0) + width * (
        2 * shape.intermediate_size + 3 * shape.hidden_size
    )
    # Float32 (plain torch adds to the gradient it keeps), and the product added to it, in bfloat16 a tensor of its own.
    head = 0 if setting.lora_rank else ((4 if setting.zero_stage else 0) + (2 if width == 2 else 0)) * shape.embedding
    head_turn = {
        "final hidden states": 6 * width * shape.hidden_size * setting.tokens,
        "logits chunk": _chunk(setting),
        "head gradient": head,
    }
    layer_turn = {
        "layer at work": layer * setting.tokens + _mask(setting),
        "new gradients": _new_gradients(setting),
    }
    turn = _larger(head_turn, layer_turn)
    kept_by_all = {"kept activations": shape.num_hidden_layers * kept * setting.tokens}
    return _gib({**_narrow_copies(setting), **kept_by_all, **turn})


def _saved_by_layer(setting: Setting) -> float:
    """Bytes a layer saves for its backward pass, per token: norms, queries and keys, values, feed-forward part.

    In transformers a norm works in float32 and keeps its input, the normalised and the scaled one; queries and keys are
    normalised too, and are repeated for grouped attention with a mask. Under autocast norms stay in float32.
    """
    h, q, k, f = (
        setting.shape.hidden_size,
        setting.shape.query_size,
        setting.shape.key_size,
        setting.shape.intermediate_size,
    )
    if setting.width == 4:
        return 24 * h + 24 * q + 16 * k + 16 * f
    return 16 * h + 14 * q + 8 * k + 8 * f + (20 * h if setting.zero_stage == 0 else 0)


def _mask(setting: Setting) -> float:
    """Of several padded or packed rows, as bools and as a bias (2 bytes); one row alone needs none."""
    row = setting.max_tokens if setting.packing else min(setting.max_tokens, setting.tokens // 2)
    return 3 * setting.tokens * row


def _chunk(setting: Setting) -> float:
    most = CHUNK_ELEMENTS["cuda" if setting.device.is_gpu else "cpu"]
    return 3 * 4 * min(most, setting.tokens * setting.shape.vocab_size)


def _narrow_copies(setting: Setting) -> Terms:
    """Autocast's copies of float32 weights, in bytes."""
    if setting.zero_stage or setting.width == 4:
        return {}
    return {"bfloat16 copies": 2 * setting.shape.parameters}


def _new_gradients(setting: Setting) -> float:
    """Of the micro-batch at hand, before they are added to those kept: only ZeRO 2 does so after the backward pass."""
    if setting.zero_stage != 2 or setting.offload:
        return setting.weight_width * _largest_trained(setting)
    return setting.weight_width * _partition(setting)


def _step(setting: Setting) -> Terms:
    """ZeRO flattens and widens the gradients it updates, and torch's AdamW makes a tensor (on a CPU two) of their size;
    plain torch has the fused one, which makes none.
    """
    if setting.offload:
        return {}
    if not setting.zero_stage:
        return _gib({"muon at work": 16 * setting.shape.largest_linear if setting.optimizer == "muon" else 0})
    work = 4 + (4 if setting.device.is_gpu else 8)
    return _gib({"float32 gradients, AdamW at work": (work - _freed(setting)) * _updated_at_once(setting)})


def _freed(setting: Setting) -> int:
    """Bytes of the kept gradient that are gone by the time AdamW works: all of them before ZeRO 3."""
    return setting.weight_width if setting.zero_stage < 3 else 0


def _push(setting: Setting) -> Terms:
    """One whole parameter at a time, gathered and copied; with adapters, merged in float32."""
    whole = 2 * setting.weight_width * setting.shape.largest
    merged = 14 * setting.shape.largest_linear if setting.lora_rank else 0
    return _gib({"one parameter": max(whole, merged)})


def _save(setting: Setting) -> Terms:
    """ZeRO's float32 master and moments of one parameter, whole."""
    return _gib({"one parameter": 12 * _largest_trained(setting)}) if setting.zero_stage else {}


def _partition(setting: Setting) -> float:
    """Gradients of ZeRO 2 in one process: a parameter that lies in several partitions is kept whole in each."""
    share = setting.trained / setting.num_processes
    return min(setting.trained, share + (_largest_trained(setting) if setting.num_processes > 1 else 0))


def _updated_at_once(setting: Setting) -> float:
    share = setting.trained / setting.num_processes
    return min(share, ZERO3_LIVE + _largest_trained(setting)) if setting.zero_stage == 3 else share


def _largest_trained(setting: Setting) -> int:
    shape = setting.shape
    if not setting.lora_rank:
        return shape.largest
    return setting.lora_rank * max(max(pair) for pair in shape.linear_layers)


# --- sampling --------------------------------------------------------------------------------------------------------


def _own_cache(setting: Setting) -> Terms:
    """sampler=transformers, at worst: every row as long as a trajectory may be. It sleeps outside of rollouts."""
    if setting.sampler != "transformers":
        return {}
    cache = setting.width * setting.shape.cache_elements(setting.max_running * setting.max_tokens)
    sampling = 4 * 8 * min(SAMPLE_ELEMENTS, setting.max_running * setting.shape.vocab_size)
    return _gib({"key-value cache": cache, "sampling": sampling, **_narrow_copies(setting)})


def _vllm_awake(setting: Setting) -> Terms:
    if not setting.colocated_vllm:
        return {}
    return {"vLLM's share": _vllm_share(setting)} if setting.device.is_gpu else _vllm_asleep(setting)


def _vllm_asleep(setting: Setting) -> Terms:
    """On a CPU vLLM does not sleep."""
    if not setting.colocated_vllm:
        return {}
    if setting.device.is_gpu:
        return {"vLLM asleep": VLLM_WORK_GIB}
    cache = setting.kv_cache_gib
    return {**_gib({"vLLM's weights": setting.width * setting.shape.parameters}), "vLLM's cache": cache}


def _vllm_share(setting: Setting) -> float:
    share = setting.gpu_memory_share if setting.placement == "colocated" else OWN_GPU_SHARE
    return share * setting.device.gib


def _vllm_least(setting: Setting) -> Terms:
    """What vLLM's share has to hold: its weights, its work, and the cache of one trajectory."""
    weights = setting.width * setting.shape.parameters / setting.cards
    return {**_gib({"weights": weights}), **_one_sequence(setting), "work": VLLM_WORK_GIB}


def _one_sequence(setting: Setting) -> Terms:
    cache = setting.width * setting.shape.cache_elements(setting.max_tokens) / setting.cards
    return _gib({"cache of one sequence": cache})


def _sequences(setting: Setting) -> float | None:
    if setting.sampler != "vllm":
        return None
    (one,) = _one_sequence(setting).values()
    if not setting.device.is_gpu:
        return setting.kv_cache_gib / one
    least = _vllm_least(setting)
    return max(0.0, (_vllm_share(setting) - least["weights"] - least["work"]) / one)


# --- host memory -----------------------------------------------------------------------------------------------------


def _host_phases(setting: Setting) -> dict[str, Terms]:
    """Of the whole machine, all processes together."""
    per_process = PROCESS_GIB if setting.device.is_gpu else CPU_PROCESS_GIB
    lasting = _sum({"processes": per_process * setting.num_processes}, _gib(_offloaded(setting)))
    model = setting.weight_width * setting.held
    whole = max(model, SHARD + 12 * _largest_trained(setting))
    sent = setting.width * setting.shape.parameters if setting.placement == "separate" else 0
    return {
        "start": _sum(lasting, _gib({"weights being read": setting.num_processes * model})),
        "run": _sum(lasting, _gib({"weights on their way to vLLM": sent * setting.num_processes})),
        "save": _sum(lasting, _gib({"what is written": whole})),
    }


def _offloaded(setting: Setting) -> Mapping[str, float]:
    """Bytes; in stage 3 the shares of all processes add up to one model."""
    if not setting.offload:
        return {}
    width, trained = setting.weight_width, setting.trained
    kept = trained if setting.zero_stage == 3 else setting.num_processes * _partition(setting)
    terms: dict[str, float] = {"states": 12 * trained, "gradients": (4 + width) * trained + width * kept}
    if setting.zero_stage == 3:
        terms["gradients"] = (4 + width) * trained
        terms["weights"] = width * setting.held
        terms["reference"] = width * setting.shape.parameters if setting.has_reference else 0
    return terms


# --- arithmetic ------------------------------------------------------------------------------------------------------


def _gib(terms: Mapping[str, float]) -> Terms:
    return {name: size / GIB for name, size in terms.items() if size}


def _sum(*parts: Mapping[str, float]) -> Terms:
    """Terms of the same name are added."""
    total: Terms = {}
    for part in parts:
        for name, size in part.items():
            total[name] = total.get(name, 0.0) + size
    return total


def _larger(one: Terms, other: Terms) -> Terms:
    return max(one, other, key=lambda terms: sum(terms.values()))


def _scaled(terms: Mapping[str, float], factor: float) -> Terms:
    return {name: size * factor for name, size in terms.items()}
