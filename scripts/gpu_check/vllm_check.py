"""vLLM: colocated with the policy and sleeping while it trains, its weights loaded anew, and over several GPUs."""

from __future__ import annotations

import time
from pathlib import Path
from tempfile import TemporaryDirectory

import torch

from mentor.policy import Policy
from mentor.policy.ranks import Ranks
from mentor.sampling import Canary, Sampler, build_sampler, push_weights
from mentor.timer import Timer
from scripts.gpu_check import sampler_check
from scripts.gpu_check.measuring import (
    GIB,
    Figure,
    Note,
    Remark,
    Size,
    make_model,
    narrow,
    random_records,
    shape_of,
    torch_policy,
)

ASLEEP_GIB = 3.0  # of vLLM's at most: mentor/planning/rollout_memory.py counts 1.5
CACHE_GIB = 0.5  # on a CPU


def check_colocated(size: Size, note: Note) -> None:
    """Sample, sleep, update, push and sample again, in one process and on one GPU."""
    with TemporaryDirectory() as folder:
        policy = saved_policy(size, Path(folder))
        before = used_gib()
        sampler = open_vllm(size, Path(folder))
        try:
            awake = used_gib() - before
            sampler_check.compare(policy, sampler, shape_of(size.shape).vocab_size, size.checked, "at the start", note)
            sampler.sleep()
            if torch.cuda.is_available():
                note(Figure("memory awake", awake, "GiB"))
                note(Figure("memory asleep", used_gib() - before, "GiB", high=ASLEEP_GIB))
            with torch.no_grad():
                for parameter in policy.model.parameters():
                    parameter.add_(0.01 * parameter.std() * torch.randn_like(parameter))
            push(size, policy, sampler, note)
            sampler_check.compare(policy, sampler, shape_of(size.shape).vocab_size, size.checked, "after a push", note)
        finally:
            sampler.close()


def check_separate(size: Size, note: Note) -> None:
    """Push to an engine of another process, over as many GPUs as are left beside the policy's, two at most."""
    others = max(0, torch.cuda.device_count() - 1)
    if torch.cuda.is_available() and not others:
        note(Remark("needs two GPUs or more, three for tensor parallelism"))
        return
    parallel = min(2, others) or 1
    with TemporaryDirectory() as folder:
        policy = saved_policy(size, Path(folder))
        sampler = open_vllm(size, Path(folder), placement="separate", tensor_parallel=parallel)
        try:
            note(Figure("GPUs of the engine", parallel if others else 0))
            push(size, policy, sampler, note)
            sampler_check.compare(policy, sampler, shape_of(size.shape).vocab_size, size.checked, "separate", note)
        finally:
            sampler.close()


def saved_policy(size: Size, folder: Path) -> Policy:
    model = make_model(shape_of(size.shape), sharp=True)
    model.save_pretrained(folder)
    return torch_policy(model, narrow(), size.tokens)


def open_vllm(size: Size, folder: Path, placement: str = "colocated", tensor_parallel: int = 1) -> Sampler:
    return build_sampler(
        "vllm",
        folder,
        (),
        sampler_check.SESSIONS,
        narrow(),
        size.checked,
        placement=placement,
        tensor_parallel=tensor_parallel,
        gpu_memory_share=0.4,
        engines=1,
        ranks=Ranks(),
        kv_cache_gib=CACHE_GIB,
    )


def push(size: Size, policy: Policy, sampler: Sampler, note: Note) -> None:
    """Push twice, and time the second, which finds everything loaded. Checksums and canary are compared in it."""
    canary = Canary(random_records(shape_of(size.shape).vocab_size, [min(64, size.checked)])[0].token_ids)
    for step in (1, 2):
        began = time.perf_counter()
        stats = push_weights(policy, sampler, canary, 1.0, step, Timer())
        seconds = time.perf_counter() - began
    note(Figure("push of the weights with its checks", seconds, "s"))
    note(Figure("mean difference of the canary", stats["sync/canary_difference"], "nats"))


def used_gib() -> float:
    """Return what is in use on the GPU, whoever uses it; 0 without one."""
    if not torch.cuda.is_available():
        return 0.0
    torch.cuda.empty_cache()
    free, total = torch.cuda.mem_get_info()
    return (total - free) / GIB
