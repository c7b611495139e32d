"""The environment that vLLM's engine starts under, and this process put back as it was.

vLLM 0.32 takes a process for its own: it reseeds all random numbers, replaces `torch.set_num_threads` by a function
that refuses, lowers the number of threads, and sets environment variables that child processes inherit. This process
continues to train, so all of that is undone (except that on a CPU its memory comes from one NUMA node from then on).
Closing an engine destroys the default process group, which may be the policy's: then it is kept.
"""

from __future__ import annotations

import gc
import os
import random
import sys
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import torch

from mentor.errors import SamplerError

QUIET = {"VLLM_LOGGING_LEVEL": "ERROR", "VLLM_NO_USAGE_STATS": "1", "DO_NOT_TRACK": "1"}
UNDONE = ("LD_PRELOAD", "LD_LIBRARY_PATH", "LOCAL_WORLD_SIZE", "NUMEXPR_MAX_THREADS")
"""Environment variables that vLLM sets and children of this process, or DeepSpeed, would read."""
RANK_VARIABLES = ("RANK", "LOCAL_RANK", "WORLD_SIZE", "LOCAL_WORLD_SIZE", "MASTER_ADDR", "MASTER_PORT")


@contextmanager
def process_restored() -> Iterator[None]:
    """Restore random numbers, threads and warnings of this process, however the start of an engine ends."""
    set_threads, threads = torch.set_num_threads, torch.get_num_threads()
    affinity = os.sched_getaffinity(0) if hasattr(os, "sched_getaffinity") else None
    numbers, tensors = random.getstate(), torch.get_rng_state()
    on_gpus = torch.cuda.get_rng_state_all() if torch.cuda.is_available() else []
    numpy = sys.modules.get("numpy")
    arrays = numpy.random.get_state() if numpy is not None else None
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        torch.set_num_threads = set_threads
        torch.set_num_threads(threads)
        if affinity is not None:
            os.sched_setaffinity(0, affinity)
        random.setstate(numbers)
        torch.set_rng_state(tensors)
        if on_gpus:
            torch.cuda.set_rng_state_all(on_gpus)
        if numpy is not None:
            numpy.random.set_state(arrays)


@contextmanager
def engine_environment(model: str, separate: bool, first_gpu: int, gpus: int) -> Iterator[None]:
    """Set the environment variables that an engine starts under; put back all that it changes.

    separate: in another process, with `gpus` GPUs from `first_gpu` on.
    """
    wanted: dict[str, str | None] = {name: value for name, value in QUIET.items() if name not in os.environ}
    wanted["VLLM_ENABLE_V1_MULTIPROCESSING"] = str(int(separate))
    if separate:
        wanted |= dict.fromkeys(RANK_VARIABLES)  # the rank of this process is not the engine's
        if torch.cuda.is_available():
            wanted["CUDA_VISIBLE_DEVICES"] = ",".join(gpu_names(first_gpu, gpus))
    if Path(model).is_dir():
        wanted["HF_HUB_OFFLINE"] = "1"
    before = {name: os.environ.get(name) for name in (*wanted, *UNDONE)}
    try:
        _set_environment(wanted)
        yield
    finally:
        _set_environment(before)


def _set_environment(values: dict[str, str | None]) -> None:
    for name, value in values.items():
        if value is None:
            os.environ.pop(name, None)
        else:
            os.environ[name] = value


def gpu_names(first: int, count: int) -> list[str]:
    """Name `count` of the GPUs that this process sees, from `first` on."""
    visible = os.environ.get("CUDA_VISIBLE_DEVICES")
    names = visible.split(",") if visible else [str(index) for index in range(torch.cuda.device_count())]
    if first + count > len(names):
        raise SamplerError(
            f"sampler.placement=separate needs GPUs {first} to {first + count - 1}, this process sees {len(names)}; "
            "accepted: fewer sampler.engines, sampler.tensor_parallel or trainer.num_processes"
        )
    return names[first : first + count]


@contextmanager
def module_hidden(module: str) -> Iterator[None]:
    """Hide a loaded module: vLLM searches all of them for its kernels and fails on an object of one from numba."""
    loaded = sys.modules.pop(module, None)
    try:
        yield
    finally:
        if loaded is not None:
            sys.modules[module] = loaded


def forget_groups(shutdown_ray: bool = False) -> None:
    """Clean up after an engine as vLLM does, but keep the default process group, which was there before."""
    import vllm.envs
    from vllm.distributed import parallel_state

    vllm.envs.disable_envs_cache()
    parallel_state.destroy_model_parallel()
    if parallel_state._WORLD is not None:
        parallel_state._WORLD.destroy()
    parallel_state._WORLD = parallel_state._NODE_COUNT = None
    gc.collect()
    if torch.cuda.is_available():
        torch.cuda.empty_cache()
