"""Parameters and optimiser of a policy over ranks: DeepSpeed ZeRO 1, 2 or 3 (arXiv:1910.02054), also with offload.

Each rank computes its part of a minibatch. The loss's weights are normalised over the whole minibatch, so that the
gradients of all ranks add up to what one process would compute. With bfloat16 the weights themselves are bfloat16 and
ZeRO holds float32 masters; gradients are added up in float32, over micro-batches and over ranks.
"""

from __future__ import annotations

import logging
import os
import sys
import warnings
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext, redirect_stdout
from pathlib import Path
from typing import Any

import torch
from torch import nn
from transformers import PreTrainedModel

from mentor.errors import PolicyError
from mentor.policy.operators import build_cpu_adam, skip_shared_memory
from mentor.policy.optimizer import OptimizerSettings, trained_parameters
from mentor.policy.ranks import Ranks
from mentor.policy.scorer import Scorer
from mentor.policy.state import Entry

MOMENTS = ("exp_avg", "exp_avg_sq")


@contextmanager
def shapes_for_values() -> Iterator[None]:
    """Show parameters by their shapes. ZeRO-3 starts by formatting every value of every parameter into a message
    that it then does not print; that takes time, and torch sometimes fails at it."""
    shown: Any = nn.Parameter
    values = shown.__repr__
    shown.__repr__ = lambda parameter: f"Parameter{tuple(parameter.shape)}"
    try:
        yield
    finally:
        shown.__repr__ = values


class DeepSpeedEngine:
    """Implements `Engine`. stage: 1 to 3. offload: optimiser states, in stage 3 also weights, in the CPU's memory.

    dtype, float32 or bfloat16, is also the type of the model's weights. A reference model, of which nothing is trained,
    is partitioned in stage 3 alone: in the others it takes a `TorchEngine`.
    """

    def __init__(
        self,
        model: PreTrainedModel,
        settings: OptimizerSettings,
        dtype: torch.dtype = torch.float32,
        temperature: float = 1.0,
        *,
        ranks: Ranks,
        stage: int,
        offload: bool = False,
        bucket_elements: int = 50_000_000,
    ) -> None:
        if settings.name != "adamw":
            raise ValueError(f"optimizer={settings.name} under DeepSpeed, accepted: adamw")
        deepspeed = import_deepspeed()
        self.scorer = Scorer(model, temperature, dtype, into_grad=False)
        self.steps = 0
        self._ranks, self._zero_stage = ranks, stage
        self._gathered_parameters = deepspeed.zero.GatheredParameters
        if stage == 3:
            # The scorer itself reads the LM head's weight, so it has to be gathered while the scorer runs.
            deepspeed.zero.register_external_parameter(self.scorer, model.get_output_embeddings().weight)
        trained = [p for _, p in trained_parameters(model)]
        skip_shared_memory()
        if offload and trained:
            build_cpu_adam()
        optimizer = _adamw(trained, settings, offload) if trained else None
        with shapes_for_values(), redirect_stdout(None):  # its optimiser of stage 1 prints the memory in use
            self._deepspeed, *_ = deepspeed.initialize(
                model=self.scorer,
                optimizer=optimizer,
                model_parameters=trained or None,
                config=deepspeed_config(stage, offload, bucket_elements, dtype, settings.max_grad_norm),
            )
        self.module: nn.Module = self._deepspeed
        self.device = torch.device(self._deepspeed.device)

    def backward(self, loss: torch.Tensor, last: bool) -> None:
        self._deepspeed.set_gradient_accumulation_boundary(last)
        self._deepspeed.backward(loss * self._ranks.size, scale_wrt_gas=False)  # it takes the mean over the ranks

    def step(self, learning_rate: float) -> float:
        for group in self._deepspeed.optimizer.param_groups:
            group["lr"] = learning_rate
        self._deepspeed.step()
        norm = float(self._deepspeed.get_global_grad_norm())
        if not torch.isfinite(torch.tensor(norm)):
            raise PolicyError(f"the gradient norm is {norm} at optimiser step {self.steps}")
        self.steps += 1
        return norm

    def read(self, parameter: nn.Parameter) -> Entry:
        from deepspeed.utils import safe_get_full_fp32_param, safe_get_full_optimizer_state

        moments = MOMENTS if self.steps else ()
        return {
            "weight": safe_get_full_fp32_param(parameter),
            **{key: safe_get_full_optimizer_state(parameter, key) for key in moments},
        }

    def write(self, parameter: nn.Parameter, entry: Entry) -> None:
        from deepspeed.utils import safe_set_full_fp32_param, safe_set_full_optimizer_state

        if self.steps:
            self._make_moments()
        with self.gathered([parameter], modify=True), torch.no_grad():
            parameter.copy_(entry["weight"])
        for key, value in entry.items():
            value = value.to(self.device)
            if self._zero_stage == 3:
                self._write_partition(parameter, value, None if key == "weight" else key)
            elif key == "weight":
                safe_set_full_fp32_param(parameter, value)
            else:
                safe_set_full_optimizer_state(parameter, value, key)

    def _write_partition(self, parameter: Any, value: torch.Tensor, key: str | None) -> None:
        """Write this rank's part of a whole weight or moment, whose end may be padding."""
        size = parameter.ds_tensor.numel()
        padded = torch.nn.functional.pad(value.flatten(), (0, size * self._ranks.size - value.numel()))
        own = padded[size * self._ranks.rank : size * (self._ranks.rank + 1)]
        parameter._z3_optimizer.set_local_hp_param(own, parameter, key)

    def _make_moments(self) -> None:
        """Make the moments that the optimiser would make at its first step, to be written into."""
        zero, inner = self._deepspeed.optimizer, self._deepspeed.optimizer.optimizer
        for partition in fp32_partitions(zero):
            if inner.state.get(partition):
                continue
            on_torch = isinstance(inner, torch.optim.AdamW)
            step = torch.tensor(float(self.steps), device=partition.device) if on_torch else self.steps
            inner.state[partition] = {"step": step, **{key: torch.zeros_like(partition.data) for key in MOMENTS}}
        if self._zero_stage < 3:
            zero._lazy_init_hp_params_optimizer_state()

    def gathered(self, parameters: Sequence[nn.Parameter], modify: bool = False) -> AbstractContextManager[None]:
        """All-gather the parameters in stage 3, on all ranks. modify: the parameters are to be written."""
        if self._zero_stage < 3:
            return nullcontext()
        context: AbstractContextManager[None] = self._gathered_parameters(
            list(parameters), modifier_rank=0 if modify else None
        )
        return context


def fp32_partitions(zero: Any) -> list[torch.Tensor]:
    """List the masters of this rank by DeepSpeed's names of them: in stage 1 with bfloat16, in stages 1 and 2, in 3."""
    names = "fp32_groups_flat_partition", "single_partition_of_fp32_groups", "fp32_partitioned_groups_flat"
    partitions: list[torch.Tensor] = next(getattr(zero, name) for name in names if hasattr(zero, name))
    return partitions


def deepspeed_config(
    stage: int, offload: bool, bucket_elements: int, dtype: torch.dtype, max_grad_norm: float
) -> dict[str, Any]:
    """Build DeepSpeed's own configuration."""
    zero: dict[str, Any] = {
        "stage": stage,
        "reduce_bucket_size": bucket_elements,
        "allgather_bucket_size": bucket_elements,
    }
    if stage == 3:
        zero["stage3_prefetch_bucket_size"] = bucket_elements
    if offload:
        zero["offload_optimizer"] = {"device": "cpu", "pin_memory": torch.cuda.is_available()}
    if offload and stage == 3:
        zero["offload_param"] = {"device": "cpu", "pin_memory": torch.cuda.is_available()}
    return {
        "train_micro_batch_size_per_gpu": 1,
        # More than one, so that gradients are kept between the micro-batches; `backward` says which is last.
        "gradient_accumulation_steps": 2,
        "gradient_clipping": max_grad_norm,
        "zero_optimization": zero,
        "zero_allow_untested_optimizer": True,
        "bf16": {"enabled": dtype == torch.bfloat16},
        "data_types": {"grad_accum_dtype": "fp32"},
        "communication_data_type": "fp32",
        "steps_per_print": None,
    }


def import_deepspeed() -> Any:
    """Import the package, set to report errors only and to find the ninja that builds its operators."""
    os.environ["PATH"] = os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", "")])
    warnings.filterwarnings("ignore", category=FutureWarning, module="torch.distributed")
    try:
        import deepspeed
    except ImportError as error:
        raise PolicyError("trainer/deepspeed needs DeepSpeed: pip install 'mentor[deepspeed]'") from error
    deepspeed.utils.logging.logger.setLevel(logging.ERROR)
    return deepspeed


def _adamw(parameters: list[nn.Parameter], settings: OptimizerSettings, offload: bool) -> torch.optim.Optimizer:
    """Build torch's AdamW, or DeepSpeed's for states in the CPU's memory; both update in one kernel."""
    if not offload:
        return torch.optim.AdamW(parameters, **settings.adamw(), fused=True)
    from deepspeed.ops.adam import DeepSpeedCPUAdam

    adam: torch.optim.Optimizer = DeepSpeedCPUAdam(parameters, **settings.adamw(), adamw_mode=True)
    return adam
