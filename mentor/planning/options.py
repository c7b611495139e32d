"""Find other settings for a run that needs too much memory: the cheapest that fit.

First those that only take time (recomputing, more ranks, offloading), then adapters, then those that change the run:
separate GPUs for sampling, shorter trajectories.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from itertools import product
from math import ceil
from typing import Any

from mentor.planning.memory import make_plan
from mentor.planning.terms import GIB
from mentor.planning.workload import Workload

SHORTEST = 1024  # tokens of a trajectory below which none is suggested


@dataclass(frozen=True)
class Option:
    """overrides: additions to the command. cost: only the order of costs has a meaning. changes: of the workload."""

    overrides: tuple[str, ...]
    cost: int
    changes: dict[str, Any]


NOTHING = Option((), 0, {})


def cheapest_fit(workload: Workload, same_lengths: bool = False) -> list[str] | None:
    """Return the overrides of the cheapest combination of options that fits: [] if it fits already, None without any.

    same_lengths: only options that leave trajectories and machines as they are.
    """
    for option in sorted(_combinations(workload, same_lengths), key=lambda option: option.cost):
        changed = replace(workload, **option.changes)
        if not make_plan(changed).misfits:
            return list(option.overrides)
        share = _share(changed)
        if share is not None:
            return [*option.overrides, f"sampler.gpu_memory_share={share:g}"]
    return None


def _combinations(workload: Workload, same_lengths: bool) -> Iterator[Option]:
    makers = [_recomputing, _smaller_forward, _cache, _reference, _spreading, _adapters]
    makers += [] if same_lengths else [_placement, _shorter]
    for chosen in product(*(make(workload) for make in makers)):
        overrides = tuple(line for option in chosen for line in option.overrides)
        changes = {key: value for option in chosen for key, value in option.changes.items()}
        if len({line.partition("=")[0] for line in overrides}) == len(overrides):  # no key twice
            yield Option(overrides, sum(option.cost for option in chosen), changes)


def _share(workload: Workload) -> float | None:
    """Return the largest share of a GPU for vLLM with which the workload fits, where it has another one."""
    if not workload.colocated_vllm or not workload.device.is_gpu or workload.gpu_memory_share is None:
        return None
    plan = make_plan(replace(workload, gpu_memory_share=None))
    return None if plan.misfits else plan.gpu_memory_share


# --- what each key may become, the present value first ---------------------------------------------------------------


def _recomputing(workload: Workload) -> list[Option]:
    if workload.gradient_checkpointing:
        return [NOTHING]
    return [NOTHING, Option(("trainer.gradient_checkpointing=true",), 1, {"gradient_checkpointing": True})]


def _smaller_forward(workload: Workload) -> list[Option]:
    """Suggest micro-batches of one trajectory, which is never divided."""
    if workload.micro_batch_tokens <= workload.max_tokens:
        return [NOTHING]
    tokens = workload.max_tokens
    return [NOTHING, Option((f"trainer.micro_batch_tokens={tokens}",), 1, {"micro_batch_tokens": tokens})]


def _cache(workload: Workload) -> list[Option]:
    """Suggest another cache for sampler=transformers and for vLLM on a CPU; on a GPU vLLM's cache fills its share."""
    if workload.sampler == "transformers":
        fewer = [(2, 64), (3, 16)]
        rows = [(cost, count) for cost, count in fewer if count < workload.max_running]
        return [NOTHING, *(Option((f"sampler.max_running={n}",), cost, {"max_running": n}) for cost, n in rows)]
    if workload.device.is_gpu:
        return [NOTHING]
    least = ceil(10 * workload.width * workload.shape.cache_elements(workload.max_tokens) / GIB) / 10
    return [NOTHING, Option((f"sampler.kv_cache_gib={least:g}",), 2, {"kv_cache_gib": least})]


def _reference(workload: Workload) -> list[Option]:
    if not workload.has_reference or workload.reference_offload or not workload.device.is_gpu:
        return [NOTHING]
    return [NOTHING, Option(("trainer.reference_offload=true",), 2, {"reference_offload": True})]


def _spreading(workload: Workload) -> list[Option]:
    """Suggest ZeRO stages. ZeRO 3 gains nothing in one rank without offloading. Muon runs in plain torch only."""
    if workload.optimizer == "muon":
        return [NOTHING]
    options = [NOTHING]
    if workload.zero_stage < 2:
        options.append(Option(("trainer/deepspeed=zero2",), 2, {"zero_stage": 2, "offload": False}))
    alone = workload.sampler == "transformers" and workload.placement == "colocated"  # samples from whole weights
    if workload.zero_stage < 3 and workload.num_processes > 1 and not alone:
        options.append(Option(("trainer/deepspeed=zero3",), 3, {"zero_stage": 3, "offload": False}))
    if not workload.device.is_gpu:
        return options
    if workload.zero_stage in (1, 2) and not workload.offload:
        options.append(Option(("trainer.deepspeed.offload=true",), 5, {"offload": True}))
    if not alone and not (workload.zero_stage == 3 and workload.offload):
        options.append(Option(("trainer/deepspeed=zero3_offload",), 6, {"zero_stage": 3, "offload": True}))
    return options


def _adapters(workload: Workload) -> list[Option]:
    return [NOTHING] if workload.lora_rank else [NOTHING, Option(("trainer.lora.rank=16",), 10, {"lora_rank": 16})]


def _placement(workload: Workload) -> list[Option]:
    if not workload.colocated_vllm or not workload.device.is_gpu:
        return [NOTHING]
    return [NOTHING, Option(("sampler.placement=separate",), 20, {"placement": "separate"})]


def _shorter(workload: Workload) -> list[Option]:
    options = [NOTHING]
    for cost, divisor in ((30, 2), (40, 4)):
        tokens = workload.max_tokens // divisor
        keys = {"max_tokens": "sampler", "max_turn_tokens": "sampler", "micro_batch_tokens": "trainer"}
        longer = [key for key in keys if getattr(workload, key) > tokens]
        lines = tuple(f"{keys[key]}.{key}={tokens}" for key in longer)
        if tokens >= SHORTEST:
            options.append(Option(lines, cost, dict.fromkeys(longer, tokens)))
    return options
