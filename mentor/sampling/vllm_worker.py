"""What runs inside vLLM's worker: loading new weights, and checksums of the weights that its layers compute with.

vLLM 0.32 adds the methods of `WorkerExtension` to its worker, in this process or in the engine's.
"""

from __future__ import annotations

import ctypes
import signal
from collections import deque
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import torch
import vllm.v1.sample.sampler as vllm_sampling
from vllm.distributed import get_tensor_model_parallel_rank, get_tensor_model_parallel_world_size
from vllm.lora.lora_model import LoRAModel
from vllm.lora.peft_helper import PEFTHelper
from vllm.lora.punica_wrapper.punica_cpu import PunicaWrapperCPU
from vllm.model_executor.layers.linear import ColumnParallelLinear, QKVParallelLinear, RowParallelLinear
from vllm.model_executor.layers.mamba.abstract import MambaBase
from vllm.model_executor.layers.vocab_parallel_embedding import ParallelLMHead, VocabParallelEmbedding
from vllm.model_executor.model_loader import get_model_loader
from vllm.platforms import current_platform
from vllm.v1.executor.multiproc_executor import MultiprocExecutor

from mentor import progress
from mentor.sampling.checksum import Checksums, bit_sum, part_of, wrapped
from mentor.sampling.vllm_engine import ADAPTER
from mentor.sampling.vllm_norms import choose_kernel_norms
from mentor.sampling.weight_files import stored_weights

UNITS = 512  # unit vectors sent through a layer at once
PR_SET_PDEATHSIG = 1

if current_platform.is_cpu():  # one comparison of vLLM's, compiled in half a minute or run as it is written
    vllm_sampling.batched_count_greater_than = torch.compiler.disable(vllm_sampling.batched_count_greater_than)


def add_one_adapter(
    punica: Any,
    y: torch.Tensor,
    x: torch.Tensor,
    lora_a_stacked: tuple[torch.Tensor, ...],
    lora_b_stacked: tuple[torch.Tensor, ...],
    scale: float,
    output_slices: tuple[int, ...],
    **kwargs: Any,
) -> None:
    """Add the one adapter's output for x (N, in) to y (N, out). vLLM's own copies it for every token on a CPU."""
    if punica.no_lora:
        return
    start = 0
    for a, b, width in zip(lora_a_stacked, lora_b_stacked, output_slices, strict=True):
        y[:, start : start + width] += scale * (x @ a[0, 0].t() @ b[0, 0].t())
        start += width


if current_platform.is_cpu():
    PunicaWrapperCPU.add_lora_linear = add_one_adapter


class EngineExecutor(MultiprocExecutor):
    """vLLM's executor, in an engine process that ends with the process that started it, however that one ends."""

    def _init_executor(self) -> None:
        ctypes.CDLL(None, use_errno=True).prctl(PR_SET_PDEATHSIG, signal.SIGTERM)
        super()._init_executor()


class WorkerExtension:
    """`mentor_load` loads weights, `mentor_load_adapter` adapters; `mentor_checksums` sums up those in use.

    `mentor_prepare` comes first.
    """

    model_runner: Any
    model_config: Any
    vllm_config: Any
    reload_weights: Any
    mentor_received: dict[str, int] = {}

    def mentor_prepare(self) -> None:
        """Choose how the model's layers compute."""
        if current_platform.is_cpu():
            choose_kernel_norms(self.model_runner.model)

    def mentor_load(self, weights: Iterable[tuple[str, torch.Tensor]] | str) -> None:
        """Load weights, by Hugging Face names or from a folder of safetensors files."""
        self.mentor_received = {}
        self.reload_weights(
            weights_iterator=self._noted(stored_weights(Path(weights)) if isinstance(weights, str) else weights)
        )
        embedding, lm_head = self._vocabulary()
        if lm_head is not None and embedding is not None and self._tied:
            # On a CPU the LM head keeps a packed copy of its weight, which reloading the embedding does not renew.
            lm_head.tie_weights(embedding)
            lm_head.quant_method.process_weights_after_loading(lm_head)

    def mentor_load_adapter(self, weights: Iterable[tuple[str, torch.Tensor]] | str) -> None:
        """Hold these adapters in place of those before: A, and B times alpha / r, by peft's names or from a folder."""
        manager = self._adapters()
        if not self.mentor_received and any(isinstance(module, MambaBase) for module in manager.model.modules()):
            loader = get_model_loader(self.vllm_config.load_config)
            deque(self._noted(loader.get_all_weights(self.model_config, manager.model)), maxlen=0)
        stored = stored_weights(Path(weights)) if isinstance(weights, str) else weights
        tensors = {f"base_model.model.{name}": value for name, value in stored}
        rank = next(value.shape[0] for name, value in tensors.items() if ".lora_A." in name)
        mapper = getattr(manager.model, "hf_to_vllm_mapper", None)
        adapter = LoRAModel.from_lora_tensors(
            ADAPTER,
            tensors,
            PEFTHelper(r=rank, lora_alpha=rank, target_modules=[]),
            device=str(manager.device),
            dtype=manager.lora_config.lora_dtype,
            weights_mapper=None if mapper is None else mapper.get_rename_mapper(),
        )
        manager.remove_adapter(ADAPTER)
        manager.add_adapter(adapter)
        manager.activate_adapter(ADAPTER)
        if unplaced := sorted(adapter.loras.keys() - manager.modules.keys()):
            raise ValueError(f"it has no place for the adapter of {unplaced[0]}: choose sampler=transformers")

    def mentor_checksums(self) -> dict[str, int]:
        """Sum up this worker's part of the weights; an LM head tied to the embedding counts only where it differs.

        What a layer keeps changed counts as it was received.
        """
        sums = Checksums(self.model_config.dtype)
        embedding, lm_head = self._vocabulary()
        first = get_tensor_model_parallel_rank() == 0
        received: dict[str, int] = {}
        for path, module in self.model_runner.model.named_modules():
            progress.beat()  # seen where the engine is in the policy's process
            path = path.removesuffix(".base_layer")  # of a layer that can have an adapter
            for name, parameter in module.named_parameters(recurse=False):
                if module is lm_head and self._tied or not (first or _is_partitioned(module, name)):
                    continue
                if name == "A" and isinstance(module, MambaBase):
                    received = self.mentor_received
                    continue
                for piece in self._values(module, name, parameter):
                    sums.add(f"{path}.{name}", piece)
        if self.model_runner.lora_config is not None and ADAPTER in (manager := self._adapters()).list_adapters():
            for path, layer in manager.modules.items():
                for piece in _adapter_values(layer, first):
                    sums.add(f"{path}.weight", piece)
        parts = sums.parts()
        for part, value in received.items() if first else ():
            parts[part] = wrapped(parts.get(part, 0) + value)
        if lm_head is not None and embedding is not None and self._tied:
            tied, own = Checksums(self.model_config.dtype), Checksums(self.model_config.dtype)
            tied.add("weight", embedding.weight)
            for piece in self._values(lm_head, "weight", lm_head.weight):
                own.add("weight", piece)
            if own.parts() != tied.parts():
                parts["lm_head"] = own.parts()["weight"]
        return parts

    def _noted(self, weights: Iterable[tuple[str, torch.Tensor]]) -> Iterator[tuple[str, torch.Tensor]]:
        """Note the sums of weights that a layer keeps changed: Mamba has A = -exp(A_log)."""
        for name, value in weights:
            if name.endswith(".A_log"):
                self.mentor_received[part_of(name)] = bit_sum(value, self.model_config.dtype)
            yield name, value

    def _values(self, module: Any, name: str, parameter: torch.Tensor) -> Iterator[torch.Tensor]:
        """Read the values of a parameter that the layer computes with.

        On a CPU a linear layer computes with a packed copy that cannot be read: applied to unit vectors, it gives its
        weight exactly, since every product is the weight or zero. An embedding looks up rows of its parameter, and an
        LM head whose logits are of a wider type than the model multiplies with its parameter.
        """
        if isinstance(module, ParallelLMHead):
            packed = self.model_config.head_dtype == self.model_config.dtype
        else:
            packed = not isinstance(module, VocabParallelEmbedding)
        if name == "weight" and packed and hasattr(module, "cpu_linear"):
            for start in range(0, width := _width(module), UNITS):
                units = torch.eye(min(UNITS, width - start), width - start, dtype=module.params_dtype)
                units = torch.nn.functional.pad(units, (start, 0))
                yield _counted(module, module.cpu_linear(units, parameter, None).t())
            return
        yield _counted(module, parameter)

    @property
    def _tied(self) -> bool:
        return bool(getattr(self.model_config.hf_text_config, "tie_word_embeddings", False))

    def _adapters(self) -> Any:
        """Return vLLM's manager of adapters."""
        return self.model_runner.lora_manager._adapter_manager

    def _vocabulary(self) -> tuple[Any, Any]:
        """Find the embedding and the LM head, None where there is none."""
        modules = [m for m in self.model_runner.model.modules() if isinstance(m, VocabParallelEmbedding)]
        embeddings = [m for m in modules if not isinstance(m, ParallelLMHead)]
        heads = [m for m in modules if isinstance(m, ParallelLMHead)]
        return next(iter(embeddings), None), next(iter(heads), None)


def _is_partitioned(module: Any, name: str) -> bool:
    """Whether each worker of the engine holds other rows or columns of a parameter, rather than all of it."""
    if isinstance(module, RowParallelLinear):
        return name == "weight"
    return isinstance(module, ColumnParallelLinear | VocabParallelEmbedding)


def _adapter_values(layer: Any, first: bool) -> Iterator[torch.Tensor]:
    """Read this worker's part of a layer's adapters; first: the worker that counts what all of them hold.

    One adapter of several slices of a layer has its A in each of them.
    """
    base, seen = layer.base_layer, list[torch.Tensor]()
    for index, (a, b) in enumerate(zip(layer.lora_a_stacked, layer.lora_b_stacked, strict=True)):
        if (first or isinstance(base, RowParallelLinear)) and not any(torch.equal(a, other) for other in seen):
            seen.append(a)
            yield a
        if isinstance(base, QKVParallelLinear) and layer.n_slices == 3:
            if index == 0 or get_tensor_model_parallel_rank() % base.num_kv_head_replicas == 0:
                yield b
        elif isinstance(base, ColumnParallelLinear):
            yield _counted(base, b[0, 0])
        elif first:
            yield b


def _width(module: Any) -> int:
    """Count the inputs of a linear layer in this worker."""
    if isinstance(module, VocabParallelEmbedding):
        return int(module.embedding_dim)
    return int(getattr(module, "input_size_per_partition", module.input_size))


def _counted(module: Any, rows: torch.Tensor) -> torch.Tensor:
    """Leave out rows of key and value heads that another worker also holds."""
    if not isinstance(module, QKVParallelLinear) or get_tensor_model_parallel_world_size() == 1:
        return rows
    if get_tensor_model_parallel_rank() % module.num_kv_head_replicas == 0:
        return rows
    return rows[: module.num_heads * module.head_size]
