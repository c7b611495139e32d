"""The policy over several processes: DeepSpeed ZeRO 1, 2 or 3 (arXiv:1910.02054), with or without offload to the CPU.

Every process is handed the whole minibatch and computes its share, even by tokens. The loss's weights are normalised
over the whole minibatch, so gradients add up to what one process would compute. With bfloat16 the weights themselves
are bfloat16 and ZeRO holds float32 masters.
"""

from __future__ import annotations

import logging
import os
import sys
import warnings
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from pathlib import Path
from typing import Any

import torch
from torch import nn
from transformers import PreTrainedModel, PreTrainedTokenizerBase

from mentor.algorithm.batch import Batch
from mentor.errors import PolicyError
from mentor.policy.operators import build_cpu_adam, skip_shared_memory
from mentor.policy.ranks import Ranks
from mentor.policy.sharing import balanced_shares
from mentor.policy.state import Entry
from mentor.policy.torch_policy import BETAS, OptimizerSettings, Part, TorchPolicy

MOMENTS = ("exp_avg", "exp_avg_sq")


@contextmanager
def shapes_for_values() -> Iterator[None]:
    """Parameters are shown by their shapes. ZeRO-3 begins by formatting every value of every parameter into a message
    that it then does not print; that takes time, and now and then torch fails at it."""
    shown: Any = nn.Parameter
    values = shown.__repr__
    shown.__repr__ = lambda parameter: f"Parameter{tuple(parameter.shape)}"
    try:
        yield
    finally:
        shown.__repr__ = values


class DeepSpeedPolicy(TorchPolicy):
    """stage: 1 to 3. offload: optimiser states, in stage 3 also weights, in the CPU's memory. dtype, float32 or
    bfloat16, is also the type of the model's weights. A model of which nothing is trained (a reference) is shared out
    in stage 3 alone; its logprobs are computed in shares in every stage.
    """

    owns_gradients = False

    def __init__(
        self,
        model: PreTrainedModel,
        tokenizer: PreTrainedTokenizerBase,
        settings: OptimizerSettings,
        micro_batch_tokens: int = 8192,
        dtype: torch.dtype = torch.float32,
        temperature: float = 1.0,
        packing: bool = False,
        *,
        ranks: Ranks,
        stage: int,
        offload: bool = False,
        bucket_elements: int = 50_000_000,
    ) -> None:
        self.ranks, self.stage, self.offload, self.bucket_elements = ranks, stage, offload, bucket_elements
        super().__init__(model, tokenizer, settings, micro_batch_tokens, dtype, temperature, packing)

    def start(self) -> None:
        deepspeed = import_deepspeed()
        if self.settings.name != "adamw":
            raise ValueError(f"optimizer={self.settings.name} under DeepSpeed, accepted: adamw")
        self._gathered = deepspeed.zero.GatheredParameters
        if self.stage == 3:
            # The head's weight is read by the scorer itself, so it has to be there while the scorer runs.
            deepspeed.zero.register_external_parameter(self.module, self.model.get_output_embeddings().weight)
        trained = [p for _, p in self.trained_parameters()]
        if not trained and self.stage < 3:
            self.device = next(self.model.parameters()).device
            return
        skip_shared_memory()
        if self.offload and trained:
            build_cpu_adam()
        optimizer = _adamw(trained, self.settings, self.offload) if trained else None
        with shapes_for_values():
            self.engine, *_ = deepspeed.initialize(
                model=self.module, optimizer=optimizer, model_parameters=trained or None, config=self._config()
            )
        self.module = self.engine
        self.device = torch.device(self.engine.device)

    def _config(self) -> dict[str, Any]:
        zero: dict[str, Any] = {
            "stage": self.stage,
            "reduce_bucket_size": self.bucket_elements,
            "allgather_bucket_size": self.bucket_elements,
        }
        if self.stage == 3:
            zero["stage3_prefetch_bucket_size"] = self.bucket_elements
        if self.offload:
            zero["offload_optimizer"] = {"device": "cpu", "pin_memory": torch.cuda.is_available()}
        if self.offload and self.stage == 3:
            zero["offload_param"] = {"device": "cpu", "pin_memory": torch.cuda.is_available()}
        return {
            "train_micro_batch_size_per_gpu": 1,
            # More than one, so that gradients are kept between the parts of a minibatch; `backward` says which is last.
            "gradient_accumulation_steps": 2,
            "gradient_clipping": self.settings.max_grad_norm,
            "zero_optimization": zero,
            "zero_allow_untested_optimizer": True,
            "bf16": {"enabled": self.dtype == torch.bfloat16},
            "data_types": {"grad_accum_dtype": "bf16" if self.dtype == torch.bfloat16 else "fp32"},
            "steps_per_print": None,
        }

    def parts(self, batch: Batch) -> list[Part]:
        """This process's share, in as many parts as every other process has: each part is a collective for all."""
        lengths = batch.attention.sum(1)
        shares = balanced_shares(lengths.tolist(), self.ranks.size)
        counts, mine = [], []
        for rank, share in enumerate(shares):
            rows = torch.tensor(share, dtype=torch.long)
            own = batch.take(rows, int(lengths[rows].max())) if share else None
            parts = list(self.micro_batches(own)) if own is not None else []
            counts.append(len(parts))
            if rank == self.ranks.rank:
                mine = [Part(rows[part.rows], part.micro, part.packing) for part in parts]
        return mine + [self._filler(batch, lengths)] * (max(counts) - len(mine))

    def _filler(self, batch: Batch, lengths: torch.Tensor) -> Part:
        """The shortest row with weight 0."""
        rows = lengths.argmin()[None]
        micro = batch.take(rows, int(lengths[rows])).to(self.device)
        micro.weights = torch.zeros_like(micro.weights)
        return Part(rows, micro, counts=False)

    def total(self, values: torch.Tensor) -> torch.Tensor:
        return self.ranks.sum(values)

    def backward(self, loss: torch.Tensor, last: bool) -> None:
        self.engine.set_gradient_accumulation_boundary(last)
        self.engine.backward(loss * self.ranks.size, scale_wrt_gas=False)  # it takes the mean over the processes

    def take_step(self, rate: float) -> float:
        for group in self.engine.optimizer.param_groups:
            group["lr"] = rate
        self.engine.step()
        norm = float(self.engine.get_global_grad_norm())
        if not torch.isfinite(torch.tensor(norm)):
            raise PolicyError(f"the gradient norm is {norm} at optimiser step {self.step}")
        return norm

    def read(self, parameter: nn.Parameter) -> Entry:
        from deepspeed.utils import safe_get_full_fp32_param, safe_get_full_optimizer_state

        moments = MOMENTS if self.step else ()
        return {
            "weight": safe_get_full_fp32_param(parameter),
            **{key: safe_get_full_optimizer_state(parameter, key) for key in moments},
        }

    def write(self, parameter: nn.Parameter, entry: Entry) -> None:
        from deepspeed.utils import safe_set_full_fp32_param, safe_set_full_optimizer_state

        if self.step:
            self._make_moments()
        with self.whole([parameter], modify=True), torch.no_grad():
            parameter.copy_(entry["weight"])
        for key, value in entry.items():
            value = value.to(self.device)
            if self.stage == 3:
                self._write_partition(parameter, value, None if key == "weight" else key)
            elif key == "weight":
                safe_set_full_fp32_param(parameter, value)
            else:
                safe_set_full_optimizer_state(parameter, value, key)

    def _write_partition(self, parameter: Any, value: torch.Tensor, key: str | None) -> None:
        """This process's part of a whole weight or moment, whose end may be padding."""
        size = parameter.ds_tensor.numel()
        padded = torch.nn.functional.pad(value.flatten(), (0, size * self.ranks.size - value.numel()))
        own = padded[size * self.ranks.rank : size * (self.ranks.rank + 1)]
        parameter._z3_optimizer.set_local_hp_param(own, parameter, key)

    def _make_moments(self) -> None:
        """The moments that the optimiser would make at its first step, to be written into."""
        zero, inner = self.engine.optimizer, self.engine.optimizer.optimizer
        flat = zero.fp32_partitioned_groups_flat if self.stage == 3 else zero.single_partition_of_fp32_groups
        for partition in flat:
            if inner.state.get(partition):
                continue
            step = torch.tensor(float(self.step)) if isinstance(inner, torch.optim.AdamW) else self.step
            inner.state[partition] = {"step": step, **{key: torch.zeros_like(partition.data) for key in MOMENTS}}
        if self.stage < 3:
            zero._lazy_init_hp_params_optimizer_state()

    def whole(self, parameters: Sequence[nn.Parameter], modify: bool = False) -> AbstractContextManager[None]:
        """In stage 3 gathered from all processes, which must all be here."""
        if self.stage < 3:
            return nullcontext()
        context: AbstractContextManager[None] = self._gathered(list(parameters), modifier_rank=0 if modify else None)
        return context


def import_deepspeed() -> Any:
    """The package, told to report errors only, and able to find the ninja that builds its operators."""
    os.environ["PATH"] = os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", "")])
    warnings.filterwarnings("ignore", category=FutureWarning, module="torch.distributed")
    try:
        import deepspeed
    except ImportError as error:
        raise PolicyError("trainer/deepspeed needs DeepSpeed: pip install 'mentor[deepspeed]'") from error
    deepspeed.utils.logging.logger.setLevel(logging.ERROR)
    return deepspeed


def _adamw(parameters: list[nn.Parameter], settings: OptimizerSettings, offload: bool) -> torch.optim.Optimizer:
    """torch's, or DeepSpeed's for states in the CPU's memory."""
    options: dict[str, Any] = {"lr": settings.learning_rate, "betas": BETAS, "weight_decay": settings.weight_decay}
    if not offload:
        return torch.optim.AdamW(parameters, **options)
    from deepspeed.ops.adam import DeepSpeedCPUAdam

    adam: torch.optim.Optimizer = DeepSpeedCPUAdam(parameters, **options, adamw_mode=True)
    return adam
