#!/usr/bin/env python3
"""Measure updates of a policy with random weights on a GPU: tokens per second, MFU, and peak memory beside its plan.

    scripts/gpu_check.sh                                    # shapes of Qwen3-0.6B and 1.7B
    scripts/gpu_check.sh --shape tiny --engine torch        # the same code, on a CPU too

MFU is model FLOPs (what recomputing adds is not counted) over the GPU's dense bfloat16 peak. A token in a sequence of T
takes 6 N + 12 L H T of them (PaLM, arXiv:2204.02311, appendix B): N parameters of linear layers and the output head, L
layers, H features of all heads.
"""

from __future__ import annotations

import argparse
import importlib.util
import os
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict
from tempfile import TemporaryDirectory
from typing import Any

import torch
import yaml  # type: ignore[import-untyped]
from transformers import Qwen3Config, Qwen3ForCausalLM

from mentor.algorithm.batch import PolicyBatch, collate, sampler_logprobs
from mentor.algorithm.loss import LossSettings, token_weights
from mentor.conf_dir import conf_dir
from mentor.config import ModelConfig
from mentor.planning import Device, ModelShape, Workload, make_plan
from mentor.policy import OptimizerSettings, Policy, TorchEngine
from mentor.policy.lm_head import token_logprobs
from mentor.policy.ranks import Ranks
from mentor.rl.update import make_loss_function
from mentor.stages.check_base import shape_of_keys
from mentor.types import Tokens
from scripts.arguments import positive_int

GIB = 2**30
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
OPTIMIZER = OptimizerSettings("adamw", 1e-6)


def main(argv: Sequence[str] | None = None) -> int:
    arguments = _parse(argv)
    on_gpu = torch.cuda.is_available()
    if not on_gpu and arguments.shape != ["tiny"]:
        print("gpu_check: there is no GPU here, so nothing was measured; --shape tiny runs on the CPU", file=sys.stderr)
        return 1
    print(f"{torch.cuda.get_device_name() if on_gpu else 'CPU'}, torch {torch.__version__}, {arguments.engine}")
    for name in arguments.shape:
        print(f"{name}: {measure_update(name, arguments)}")
        print(f"{name}: {measure_head(shape_of(name), arguments)}")
    return 0


def _parse(argv: Sequence[str] | None) -> argparse.Namespace:
    has_deepspeed = torch.cuda.is_available() and importlib.util.find_spec("deepspeed") is not None
    parser = argparse.ArgumentParser(prog="gpu_check", description="Measure policy updates on a GPU.")
    parser.add_argument("--shape", nargs="+", default=["qwen3_0_6b", "qwen3_1_7b"], help="presets of conf/model")
    parser.add_argument("--engine", choices=["torch", "deepspeed"], default="deepspeed" if has_deepspeed else "torch")
    parser.add_argument("--tokens", type=positive_int, default=None, help="of a micro-batch; 16384, tiny: 512")
    parser.add_argument("--length", type=positive_int, default=None, help="tokens of a sequence; 2048, tiny: 128")
    parser.add_argument("--updates", type=positive_int, default=3, help="timed ones, after one to warm up")
    arguments = parser.parse_args(argv)
    small = arguments.shape == ["tiny"]
    arguments.tokens = arguments.tokens or (512 if small else 16_384)
    arguments.length = arguments.length or (128 if small else 2048)
    return arguments


def shape_of(name: str) -> ModelShape:
    values = yaml.safe_load((conf_dir() / "model" / f"{name}.yaml").read_text(encoding="utf-8"))
    values.pop("defaults")
    return shape_of_keys(ModelConfig(**values))


def measure_update(name: str, arguments: argparse.Namespace) -> str:
    """Measure an update of two micro-batches with recomputed activations and without a KL term."""
    shape, rows = shape_of(name), 2 * max(1, arguments.tokens // arguments.length)
    batch = make_batch(shape.vocab_size, rows, arguments.length)
    loss_function = make_loss_function(LossSettings(0.2, 0.28, 0.0, "k3"))
    with TemporaryDirectory() as folder:
        policy = make_policy(shape, arguments.engine, arguments.tokens, folder)
        policy.update(batch, loss_function)
        seconds, peak = timed(lambda: policy.update(batch, loss_function), arguments.updates)
        if arguments.engine == "deepspeed":
            torch.distributed.destroy_process_group()
    speed = rows * arguments.length / seconds
    said = [f"update {speed:,.0f} tokens/s"]
    if torch.cuda.is_available():
        peak_flops = next((tera for part, tera in PEAK_TFLOPS.items() if part in torch.cuda.get_device_name()), None)
        rate = speed * flops_per_token(shape, arguments.length) / 1e12
        share = "peak of this GPU not known" if peak_flops is None else f"MFU {rate / peak_flops:.1%} of {peak_flops}"
        said += [f"{rate:.0f} model TFLOP/s, {share}", beside_plan(shape, arguments, peak)]
    return ", ".join(said)


def flops_per_token(shape: ModelShape, length: int) -> float:
    attention = 12 * shape.num_hidden_layers * shape.query_size * length
    return 6 * (shape.matrices + shape.embedding) + attention


def beside_plan(shape: ModelShape, arguments: argparse.Namespace, peak: float) -> str:
    """Describe a peak beside its plan. peak: bytes of torch's allocator, without CUDA's context."""
    workload = Workload(
        shape,
        Device(torch.cuda.get_device_properties(0).total_memory / GIB),
        zero_stage=2 if arguments.engine == "deepspeed" else 0,
        gradient_checkpointing=True,
        micro_batch_tokens=arguments.tokens,
        max_tokens=arguments.length,
        sampler="none",
    )
    phases = [phase for phase in make_plan(workload).phases if phase.name in ("backward", "step")]
    planned = max(phase.total - phase.terms["CUDA"] for phase in phases)
    return f"peak {peak / GIB:.2f} GiB, planned {planned:.2f} (ratio {planned * GIB / peak:.2f})"


def make_policy(shape: ModelShape, engine: str, tokens: int, folder: str) -> Policy:
    torch.manual_seed(0)
    head_dim = shape.query_size // shape.num_attention_heads
    with torch.device("cuda" if torch.cuda.is_available() else "cpu"):
        model: Any = Qwen3ForCausalLM(Qwen3Config(**{**asdict(shape), "head_dim": head_dim}))
    model.gradient_checkpointing_enable({"use_reentrant": False})
    if engine == "torch":
        return Policy(TorchEngine(model, OPTIMIZER, torch.bfloat16), None, OPTIMIZER, tokens)  # type: ignore[arg-type]
    from mentor.policy.deepspeed_engine import DeepSpeedEngine

    os.environ.update(RANK="0", LOCAL_RANK="0", WORLD_SIZE="1")
    backend = "cpu:gloo,cuda:nccl" if torch.cuda.is_available() else "gloo"
    torch.distributed.init_process_group(backend, init_method=f"file://{folder}/group", rank=0, world_size=1)
    spread = DeepSpeedEngine(model.bfloat16(), OPTIMIZER, torch.bfloat16, ranks=Ranks(), stage=2)
    return Policy(spread, None, OPTIMIZER, tokens)  # type: ignore[arg-type]


def make_batch(vocabulary: int, rows: int, length: int) -> PolicyBatch:
    """Build a batch of random tokens, of which an eighth is prompt."""
    ids = torch.randint(0, vocabulary, (rows, length), generator=torch.Generator().manual_seed(0)).tolist()
    records = [Tokens() for _ in ids]
    for record, row in zip(records, ids, strict=True):
        record.append_context(row[: length // 8])
        record.append_sampled(row[length // 8 :], [-10.0] * (length - length // 8))
    tokens = collate(records, 0)
    return PolicyBatch(
        **vars(tokens),
        weights=token_weights(tokens.loss_mask, tokens.trajectories, "token"),
        advantages=torch.tensor([(-1.0) ** index for index in range(rows)]),
        sampler_logprobs=sampler_logprobs(records),
    )


def measure_head(shape: ModelShape, arguments: argparse.Namespace) -> str:
    """Measure forward and backward of the LM head alone, chunked as in the policy and fused as in liger-kernel."""
    device = "cuda" if torch.cuda.is_available() else "cpu"
    generator = torch.Generator(device).manual_seed(0)
    hidden = torch.randn(arguments.tokens, shape.hidden_size, device=device, generator=generator)
    weight = 0.02 * torch.randn(shape.vocab_size, shape.hidden_size, device=device, generator=generator)
    hidden, weight = hidden.bfloat16().requires_grad_(), weight.bfloat16().requires_grad_()
    targets = torch.randint(0, shape.vocab_size, (arguments.tokens,), device=device, generator=generator)

    def chunked() -> None:
        token_logprobs(hidden, weight, targets, dtype=torch.bfloat16)[0].mean().backward()

    said = [f"chunked {_cost(chunked, arguments.updates)}"]
    if device == "cuda" and importlib.util.find_spec("liger_kernel") is not None:
        from liger_kernel.transformers import LigerFusedLinearCrossEntropyLoss

        loss = LigerFusedLinearCrossEntropyLoss()
        said.append(f"fused {_cost(lambda: loss(weight, hidden, targets).backward(), arguments.updates)}")
    else:
        said.append("fused not measured (needs a GPU and liger-kernel)")
    return f"head of {arguments.tokens} tokens, {', '.join(said)}"


def _cost(function: Callable[[], Any], times: int) -> str:
    function()
    seconds, peak = timed(function, times)
    return f"{1000 * seconds:.1f} ms" + (f" and {peak / GIB:.2f} GiB at its peak" if peak else "")


def timed(function: Callable[[], Any], times: int) -> tuple[float, float]:
    """Return the mean seconds, and the peak bytes of torch's allocator (0 on a CPU)."""
    on_gpu = torch.cuda.is_available()
    if on_gpu:
        torch.cuda.synchronize()
        torch.cuda.reset_peak_memory_stats()
    began = time.perf_counter()
    for _ in range(times):
        function()
    if on_gpu:
        torch.cuda.synchronize()
    seconds = (time.perf_counter() - began) / times
    return seconds, float(torch.cuda.max_memory_allocated()) if on_gpu else 0.0


if __name__ == "__main__":
    sys.exit(main())
