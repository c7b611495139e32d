"""How much memory torch's tensors take at once during an update: what the plan is compared with without a GPU.

`python live_memory.py STAGE RECOMPUTE RANK` prints the peaks of DeepSpeedEngine as JSON: DeepSpeed wants a process.
"""

from __future__ import annotations

import json
import sys
import weakref
from collections.abc import Iterable, Mapping
from dataclasses import asdict
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import torch
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves
from transformers import Qwen3Config, Qwen3ForCausalLM

sys.path.insert(0, str(Path(__file__).parents[3]))

from mentor.algorithm.batch import PolicyBatch
from mentor.algorithm.loss import LossSettings
from mentor.planning import Device, ModelShape, Workload
from mentor.policy import OptimizerSettings, Policy
from mentor.policy.lora import add_adapters
from mentor.rl.update import make_loss_function
from mentor.types import Tokens
from tests.fixtures.policies import policy_batch

SHAPE = ModelShape(4000, 256, 768, 6, 4, 2, 2048, head_dim=64, tie_word_embeddings=True)
TOKENS, BUCKET = 256, 500_000
OPTIMIZER = OptimizerSettings("adamw", 1e-4)


def make_workload(dtype: str, stage: int, recompute: bool, rank: int) -> Workload:
    return Workload(
        SHAPE,
        Device(16.0, is_gpu=False),
        dtype,
        zero_stage=stage,
        bucket_elements=BUCKET,
        lora_rank=rank,
        gradient_checkpointing=recompute,
        micro_batch_tokens=2 * TOKENS,
        max_tokens=TOKENS,
        sampler="none",
    )


def make_model(workload: Workload) -> Any:
    torch.manual_seed(0)
    model = Qwen3ForCausalLM(Qwen3Config(**asdict(SHAPE)))
    model.to(torch.bfloat16 if workload.weight_width == 2 else torch.float32)
    if workload.lora_rank:
        add_adapters(model, workload.lora_rank, 32)
    if workload.gradient_checkpointing:
        model.gradient_checkpointing_enable({"use_reentrant": False})
    return model


def make_batch() -> PolicyBatch:
    """Four rows, so two micro-batches of two."""
    ids = torch.randint(0, SHAPE.vocab_size, (4, TOKENS), generator=torch.Generator().manual_seed(0)).tolist()
    rows = [Tokens() for _ in ids]
    for tokens, row in zip(rows, ids, strict=True):
        tokens.append_context(row[:16])
        tokens.append_sampled(row[16:], [-9.0] * (TOKENS - 16))
    return policy_batch(rows, [1.0, -1.0, 0.5, -0.5])


def measure(policy: Policy, lasting: list[torch.Tensor]) -> dict[str, float]:
    """MiB at the peak of each phase, of the second minibatch: the first makes the optimiser's states."""
    batch, peaks = make_batch(), {}
    loss_function = make_loss_function(LossSettings(0.2, 0.28, 0.0, "k3"))
    memory = LiveMemory([*policy.model.parameters(), *lasting])
    take_step = policy.engine.step

    def stepping(rate: float) -> float:
        peaks["backward"] = memory.peak
        memory.mark()
        return take_step(rate)

    policy.engine.step = stepping  # type: ignore[method-assign]
    with memory:
        policy.update(batch, loss_function)
        memory.mark()
        policy.logprobs(batch)
        peaks["logprobs"] = memory.peak
        memory.mark()
        policy.update(batch, loss_function)
        peaks["step"] = memory.peak
    return {phase: peak / 2**20 for phase, peak in peaks.items()}


class LiveMemory(TorchDispatchMode):
    """A context that counts the bytes of the tensors made in it, and of those it is told of; `peak` may be reset."""

    def __init__(self, known: Iterable[torch.Tensor] = ()) -> None:
        super().__init__()
        self._sizes: dict[int, int] = {}
        self.now = self.peak = 0
        for tensor in known:
            self._add(tensor)

    def mark(self) -> None:
        """Start anew with what is alive."""
        self.peak = self.now

    def _add(self, tensor: torch.Tensor) -> None:
        storage = tensor.untyped_storage()
        key = storage._cdata
        if key in self._sizes:
            return
        self._sizes[key] = storage.nbytes()
        self.now += storage.nbytes()
        self.peak = max(self.peak, self.now)
        weakref.finalize(storage, self._drop, key)

    def _drop(self, key: int) -> None:
        self.now -= self._sizes.pop(key, 0)

    def __torch_dispatch__(
        self, function: Any, types: Any, args: tuple[Any, ...] = (), kwargs: Mapping[str, Any] | None = None
    ) -> Any:
        output = function(*args, **(kwargs or {}))
        for tensor in tree_leaves(output):
            if isinstance(tensor, torch.Tensor):
                self._add(tensor)
        return output


def measure_deepspeed(stage: int, recompute: bool, rank: int) -> dict[str, float]:
    from mentor.policy.deepspeed_engine import DeepSpeedEngine, fp32_partitions
    from mentor.policy.ranks import Ranks

    workload = make_workload("bfloat16", stage, recompute, rank)
    common: dict[str, Any] = {"ranks": Ranks(), "stage": stage, "bucket_elements": BUCKET}
    engine = DeepSpeedEngine(make_model(workload), OPTIMIZER, torch.bfloat16, **common)
    policy = Policy(engine, None, OPTIMIZER, workload.micro_batch_tokens)  # type: ignore[arg-type]
    zero = engine.module.optimizer
    if stage == 1:
        return measure(policy, [*zero.bf16_groups_flat, *fp32_partitions(zero), *zero.fp32_groups_gradients_flat])
    if stage == 2:
        return measure(policy, [*zero.bit16_groups_flat, *fp32_partitions(zero)])
    shards = [p.ds_tensor for p in policy.model.parameters()]
    return measure(policy, [*shards, zero.grad_partitions_flat_buffer, *fp32_partitions(zero)])


if __name__ == "__main__":
    torch.set_num_threads(1)
    with TemporaryDirectory() as folder:
        torch.distributed.init_process_group("gloo", init_method=f"file://{folder}/group", rank=0, world_size=1)
        print(json.dumps(measure_deepspeed(int(sys.argv[1]), sys.argv[2] == "True", int(sys.argv[3]))))
        torch.distributed.destroy_process_group()
