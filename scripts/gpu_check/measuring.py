"""What every part is given and gives back: the size of its measurement, and figures with the limits they keep."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Any

import torch
import yaml  # type: ignore[import-untyped]
from transformers import Qwen3Config, Qwen3ForCausalLM

from mentor.conf_dir import conf_dir
from mentor.config import ModelConfig
from mentor.planning import ModelShape
from mentor.policy import OptimizerSettings, Policy, TorchEngine
from mentor.policy.attention import choose_attention
from mentor.types import Tokens

GIB = 2**30
OPTIMIZER = OptimizerSettings("adamw", 1e-6)


@dataclass(frozen=True)
class Size:
    """shape: a preset of conf/model. tokens: of a micro-batch. lengths: tokens of a sequence, each measured.

    updates: timed ones, after one to warm up. checked: tokens whose numbers are compared.
    """

    shape: str
    tokens: int
    lengths: tuple[int, ...]
    updates: int
    checked: int


@dataclass(frozen=True)
class Figure:
    """A measured number. low, high: what it is meant to keep within; a figure without both only informs."""

    name: str
    value: float
    unit: str = ""
    low: float | None = None
    high: float | None = None

    @property
    def ok(self) -> bool:
        """Also False for a value that is not a number."""
        bounded = self.low is not None or self.high is not None
        above, below = self.low is None or self.value >= self.low, self.high is None or self.value <= self.high
        return not bounded or (above and below)


@dataclass(frozen=True)
class Remark:
    """Something that was not measured, and why."""

    text: str


Note = Callable[[Figure | Remark], None]
"""Keeps what a part found, as soon as it is known."""


def device() -> str:
    return "cuda" if torch.cuda.is_available() else "cpu"


def narrow() -> torch.dtype:
    """Return bfloat16, on a CPU float32: vLLM's kernels for a CPU use instructions that some machines do not allow."""
    return torch.bfloat16 if torch.cuda.is_available() else torch.float32


def shape_of(name: str) -> ModelShape:
    """Read the shape of a preset of conf/model."""
    values = yaml.safe_load((conf_dir() / "model" / f"{name}.yaml").read_text(encoding="utf-8"))
    values.pop("defaults")
    return ModelShape.from_values(asdict(ModelConfig(**values)))


def make_model(shape: ModelShape, sharp: bool = False, **changes: Any) -> Any:
    """Make a Qwen3 of this shape with random float32 weights on the device.

    sharp: its embedding, and LM head, are four times as large, so that tokens differ in probability as in a trained
    model. changes: of the shape.
    """
    torch.manual_seed(0)
    head_dim = shape.query_size // shape.num_attention_heads
    values = {**asdict(shape), "head_dim": head_dim, **changes}
    with torch.device(device()):
        model: Any = Qwen3ForCausalLM(Qwen3Config(**values))
    choose_attention(model, None)
    if sharp:
        with torch.no_grad():
            model.get_input_embeddings().weight.mul_(4)
    return model


def torch_policy(model: Any, dtype: torch.dtype, tokens: int, packing: bool = False) -> Policy:
    """Build the policy that plain PyTorch trains, without a tokenizer."""
    return Policy(TorchEngine(model, OPTIMIZER, dtype), None, OPTIMIZER, tokens, packing)  # type: ignore[arg-type]


def random_records(vocabulary: int, lengths: list[int], seed: int = 0) -> list[Tokens]:
    """Make records of random tokens, of which an eighth is prompt."""
    generator = torch.Generator().manual_seed(seed)
    records = []
    for length in lengths:
        ids = torch.randint(0, vocabulary, (length,), generator=generator).tolist()
        record = Tokens()
        record.append_context(ids[: max(1, length // 8)])
        record.append_sampled(ids[max(1, length // 8) :], [-10.0] * (length - max(1, length // 8)))
        records.append(record)
    return records


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


def relative(found: torch.Tensor, exact: torch.Tensor) -> float:
    """Return the largest difference over the largest exact value."""
    return float((found.double() - exact.double()).abs().max() / exact.double().abs().max())


def name_of(dtype: torch.dtype) -> str:
    return str(dtype).removeprefix("torch.")
