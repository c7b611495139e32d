#!/usr/bin/env python3
"""Update tokens a second, MFU and peak memory of Qwen3 shapes with random weights, against the plan of stage=check.

On a GPU: Qwen3-0.6B and 1.7B in bfloat16, plain torch (float32 weights, autocast), then the loss alone by the project's
chunked head and by liger-kernel's fused one, where that is installed. Without a GPU it says so and ends; `--shape tiny`
runs the same on a CPU, where memory is that of the process.

    scripts/gpu_check.sh [--shape qwen3_0_6b --shape qwen3_1_7b] [--tokens 8192] [--steps 3]

MFU = 6 * parameters * tokens a second / peak FLOP/s of the GPU (dense bfloat16, as its maker states).
"""

from __future__ import annotations

import argparse
import gc
import random
import sys
import time
from pathlib import Path

import torch
from transformers import Qwen3Config, Qwen3ForCausalLM

from mentor.algorithm.batch import Batch, collate
from mentor.planning import Device, ModelShape, Setting, make_plan
from mentor.policy import OptimizerSettings, TorchPolicy
from mentor.policy.head import token_logprobs
from mentor.policy.supervised import supervised_loss
from mentor.types import Tokens

SHAPES = {
    "tiny": ModelShape(640, 128, 384, 4, 4, 2, 2048, 32, True),
    "qwen3_0_6b": ModelShape(151936, 1024, 3072, 28, 16, 8, 40960, 128, True),
    "qwen3_1_7b": ModelShape(151936, 2048, 6144, 28, 16, 8, 40960, 128, True),
}
PEAK_TFLOPS = {"H100": 989, "H200": 989, "A100": 312, "L40": 181, "4090": 165, "3090": 71}
ROW = 1024  # tokens of one sequence, three quarters of them trained
GIB = 2**30


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--shape", action="append", choices=SHAPES, help="may be given again; both Qwen3 by default")
    parser.add_argument("--tokens", type=int, default=8192, help="of one forward and backward")
    parser.add_argument("--steps", type=int, default=3, help="measured updates of two micro-batches, after one more")
    arguments = parser.parse_args()
    on_gpu = torch.cuda.is_available()
    if not on_gpu and arguments.shape != ["tiny"]:
        print("gpu_check: no GPU is here, so nothing is measured; --shape tiny runs the same on the CPU")
        return
    for name in arguments.shape or ["qwen3_0_6b", "qwen3_1_7b"]:
        measure(name, SHAPES[name], arguments.tokens, arguments.steps, on_gpu)


def measure(name: str, shape: ModelShape, tokens: int, steps: int, on_gpu: bool) -> None:
    device = torch.device("cuda" if on_gpu else "cpu")
    dtype = torch.bfloat16 if on_gpu else torch.float32
    torch.manual_seed(0)
    model = Qwen3ForCausalLM(as_config(shape)).to(device)
    model.gradient_checkpointing_enable({"use_reentrant": False})
    policy = TorchPolicy(model, None, OptimizerSettings("adamw", 1e-6), micro_batch_tokens=tokens, dtype=dtype)
    batch = make_batch(shape.vocab_size, tokens)
    policy.update(batch, supervised_loss)
    start_peak(on_gpu)
    began = time.perf_counter()
    for _ in range(steps):
        policy.update(batch, supervised_loss)
    if on_gpu:
        torch.cuda.synchronize()
    speed = steps * int(batch.attention.sum()) / (time.perf_counter() - began)
    peak = read_peak(on_gpu)
    planned = planned_peak(shape, tokens, on_gpu)
    print(f"{name}: {shape.parameters / 1e6:.0f} M parameters on {device_name(on_gpu)}, {tokens} tokens a forward")
    print(f"  update {speed:,.0f} tokens/s{mfu(shape, speed, on_gpu)}")
    print(f"  peak {peak:.2f} GiB, plan {planned:.2f} GiB, peak / plan {peak / planned:.2f}")
    del policy, model
    gc.collect()
    compare_losses(shape, tokens, device, dtype)


def as_config(shape: ModelShape) -> Qwen3Config:
    return Qwen3Config(
        vocab_size=shape.vocab_size,
        hidden_size=shape.hidden_size,
        intermediate_size=shape.intermediate_size,
        num_hidden_layers=shape.num_hidden_layers,
        num_attention_heads=shape.num_attention_heads,
        num_key_value_heads=shape.num_key_value_heads,
        max_position_embeddings=shape.max_position_embeddings,
        head_dim=shape.head_dim,
        tie_word_embeddings=shape.tie_word_embeddings,
    )


def make_batch(vocabulary: int, tokens: int) -> Batch:
    """Two micro-batches of rows of equal length."""
    rng, records = random.Random(0), []
    for _ in range(max(2, 2 * tokens // ROW)):
        row, context = Tokens(), min(ROW, tokens) // 4
        row.append_context([rng.randrange(vocabulary) for _ in range(context)])
        row.append_sampled([rng.randrange(vocabulary) for _ in range(3 * context)], [-1.0] * 3 * context)
        records.append(row)
    return collate(records, [0.0] * len(records), 0, "token")


def planned_peak(shape: ModelShape, tokens: int, on_gpu: bool) -> float:
    """The largest of the plan's phases of an update; on a GPU without the CUDA context, which torch does not count."""
    setting = Setting(
        shape,
        Device(1e6, on_gpu),
        dtype="bfloat16" if on_gpu else "float32",
        gradient_checkpointing=True,
        micro_batch_tokens=tokens,
        max_tokens=min(ROW, tokens),
    )
    phases = [phase for phase in make_plan(setting).phases if phase.name in ("backward", "step")]
    return max(phase.total - phase.terms.get("CUDA", 0.0) for phase in phases if phase.memory in ("GPU", "process"))


def compare_losses(shape: ModelShape, tokens: int, device: torch.device, dtype: torch.dtype) -> None:
    """Forward and backward of the output head and the loss alone, on random hidden states."""
    hidden = torch.randn(tokens, shape.hidden_size, device=device, dtype=dtype, requires_grad=True)
    head = (torch.randn(shape.vocab_size, shape.hidden_size, device=device) * 0.02).requires_grad_()
    targets = torch.randint(shape.vocab_size, (tokens,), device=device)

    def chunked() -> torch.Tensor:
        return -token_logprobs(hidden, head, targets, dtype=dtype, into_grad=True)[0].mean()

    losses = {"chunked": chunked}
    try:
        from liger_kernel.transformers import LigerFusedLinearCrossEntropyLoss
    except ImportError:
        print("  fused loss: liger-kernel is not installed")
    else:
        fused = LigerFusedLinearCrossEntropyLoss()
        if device.type == "cuda":
            losses["fused"] = lambda: fused(head.to(dtype), hidden, targets)
        else:
            print("  fused loss: liger-kernel needs a GPU")
    for name, loss in losses.items():
        loss().backward()
        start_peak(device.type == "cuda")
        began = time.perf_counter()
        value = loss()
        value.backward()
        if device.type == "cuda":
            torch.cuda.synchronize()
        seconds, peak = time.perf_counter() - began, read_peak(device.type == "cuda")
        print(f"  {name} loss {value.item():.4f}: {tokens / seconds:,.0f} tokens/s, peak {peak:.2f} GiB")


def start_peak(on_gpu: bool) -> None:
    if on_gpu:
        torch.cuda.reset_peak_memory_stats()
    else:
        Path("/proc/self/clear_refs").write_text("5")


def read_peak(on_gpu: bool) -> float:
    """GiB since `start_peak`: torch's on a GPU, else the process's resident memory."""
    if on_gpu:
        return torch.cuda.max_memory_allocated() / GIB
    lines = Path("/proc/self/status").read_text().splitlines()
    return int(next(line for line in lines if line.startswith("VmHWM")).split()[1]) / 2**20


def device_name(on_gpu: bool) -> str:
    return torch.cuda.get_device_name() if on_gpu else "the CPU"


def mfu(shape: ModelShape, speed: float, on_gpu: bool) -> str:
    """Of gradient checkpointing the recomputed forward is not counted."""
    known = [peak for name, peak in PEAK_TFLOPS.items() if on_gpu and name in device_name(True)]
    return f", MFU {6 * shape.parameters * speed / (known[0] * 1e12):.1%}" if known else ""


if __name__ == "__main__":
    sys.exit(main())
