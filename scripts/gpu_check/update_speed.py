"""Updates of a policy with random weights: tokens per second, MFU, and peak memory beside its plan.

MFU is model FLOPs (what recomputing adds is not counted) over the GPU's dense bfloat16 peak. A token in a sequence of T
takes 6 N + 12 L H T of them (PaLM, arXiv:2204.02311, appendix B): N parameters of linear layers and the output head, L
layers, H features of all heads. With adapters the gradients of the base's weights are left out: 4 N + 12 L H T.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

import torch

from mentor.algorithm.batch import PolicyBatch, collate, sampler_logprobs
from mentor.algorithm.loss import LossSettings, token_weights
from mentor.planning import Device, ModelShape, Workload, make_plan
from mentor.policy import Policy
from mentor.policy.lora import add_adapters
from mentor.policy.ranks import Ranks
from mentor.rl.update import make_loss_function
from mentor.types import Tokens
from scripts.gpu_check.measuring import (
    GIB,
    OPTIMIZER,
    Figure,
    Note,
    Remark,
    Size,
    make_model,
    random_records,
    shape_of,
    timed,
    torch_policy,
)

PEAK_TFLOPS = {
    "H200": 989,
    "H100 PCIe": 756,
    "H100 NVL": 835,
    "H100": 989,
    "A100": 312,
    "L40S": 362,
    "L4": 121,
    "A10": 125,
    "RTX 4090": 165,
}
"""Dense bfloat16 with float32 sums, by a part of the GPU's name; the first that is in it counts."""
ENGINES = ("torch", "deepspeed", "lora")
LORA_RANK, ZERO_STAGE = 16, 2


def measure_updates(size: Size, note: Note, engine: str) -> None:
    """Measure updates of two micro-batches with recomputed activations and without a KL term."""
    shape = shape_of(size.shape)
    loss_function = make_loss_function(LossSettings(0.2, 0.28, 0.0, "k3"))
    with TemporaryDirectory() as folder:
        policy = make_policy(shape, engine, size.tokens, Path(folder))
        for length in size.lengths:
            rows = 2 * max(1, size.tokens // length)
            batch = batch_of(random_records(shape.vocab_size, [length] * rows))
            policy.update(batch, loss_function)
            seconds, peak = timed(lambda batch=batch: policy.update(batch, loss_function), size.updates)  # type: ignore[misc]
            _note_speed(shape, engine, length, rows * length / seconds, note)
            if peak:
                planned = planned_peak(shape, engine, size.tokens, length)
                note(Figure(f"length {length}: peak", peak / GIB, "GiB"))
                note(Figure(f"length {length}: planned over peak", planned * GIB / peak, "", 0.85, 1.15))
        if engine == "deepspeed":
            torch.distributed.destroy_process_group()


def _note_speed(shape: ModelShape, engine: str, length: int, speed: float, note: Note) -> None:
    note(Figure(f"length {length}: update", speed, "tokens/s"))
    if not torch.cuda.is_available():
        return
    rate = speed * flops_per_token(shape, length, engine == "lora") / 1e12
    note(Figure(f"length {length}: model FLOPs", rate, "TFLOP/s"))
    peak = next((tera for part, tera in PEAK_TFLOPS.items() if part in torch.cuda.get_device_name()), None)
    if peak is None:
        note(Remark(f"the peak of {torch.cuda.get_device_name()} is not known here, so there is no MFU"))
    else:
        note(Figure(f"length {length}: MFU", 100 * rate / peak, f"% of {peak} TFLOP/s"))


def flops_per_token(shape: ModelShape, length: int, adapters: bool = False) -> float:
    attention = 12 * shape.num_hidden_layers * shape.query_size * length
    return (4 if adapters else 6) * (shape.matrices + shape.embedding) + attention


def planned_peak(shape: ModelShape, engine: str, tokens: int, length: int) -> float:
    """Plan the peak of torch's allocator in GiB: without CUDA's context."""
    workload = Workload(
        shape,
        Device(torch.cuda.get_device_properties(0).total_memory / GIB),
        zero_stage=ZERO_STAGE if engine == "deepspeed" else 0,
        lora_rank=LORA_RANK if engine == "lora" else 0,
        gradient_checkpointing=True,
        micro_batch_tokens=tokens,
        max_tokens=length,
        sampler="none",
    )
    phases = [phase for phase in make_plan(workload).phases if phase.name in ("backward", "step")]
    return max(phase.total - phase.terms["CUDA"] for phase in phases)


def make_policy(shape: ModelShape, engine: str, tokens: int, folder: Path) -> Policy:
    model = make_model(shape)
    if engine == "lora":
        add_adapters(model, LORA_RANK, 2 * LORA_RANK)
    model.gradient_checkpointing_enable({"use_reentrant": False})
    if engine != "deepspeed":
        return torch_policy(model, torch.bfloat16, tokens)
    from mentor.policy.deepspeed_engine import DeepSpeedEngine

    os.environ.update(RANK="0", LOCAL_RANK="0", WORLD_SIZE="1")
    backend = "cpu:gloo,cuda:nccl" if torch.cuda.is_available() else "gloo"
    torch.distributed.init_process_group(backend, init_method=f"file://{folder}/group", rank=0, world_size=1)
    spread = DeepSpeedEngine(model.bfloat16(), OPTIMIZER, torch.bfloat16, ranks=Ranks(), stage=ZERO_STAGE)
    return Policy(spread, None, OPTIMIZER, tokens)  # type: ignore[arg-type]


def batch_of(records: Sequence[Tokens]) -> PolicyBatch:
    """Build a batch whose trajectories have advantages of 1 and -1 in turn."""
    tokens = collate(records, 0)
    advantages = torch.tensor([(-1.0) ** index for index in range(len(records))])
    return PolicyBatch(
        **vars(tokens),
        weights=token_weights(tokens.loss_mask, tokens.trajectories, "token"),
        advantages=advantages[tokens.trajectories, None].expand(tokens.loss_mask.shape),
        sampler_logprobs=sampler_logprobs(records),
    )
