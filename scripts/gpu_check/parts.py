"""The parts of the check in their order: what each needs, and how long it may take."""

from __future__ import annotations

import importlib.util
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial

from scripts.gpu_check.attention_check import check_attention
from scripts.gpu_check.head_check import check_head
from scripts.gpu_check.measuring import Note, Size
from scripts.gpu_check.packing_check import check_packing
from scripts.gpu_check.prefix_check import check_prefixes
from scripts.gpu_check.resume_check import check_resume
from scripts.gpu_check.sampler_check import check_sampler
from scripts.gpu_check.update_speed import ENGINES, measure_updates
from scripts.gpu_check.vllm_check import check_colocated, check_separate

OF_MENTOR = ("hydra", "omegaconf", "jsonschema", "pydantic_monty", "sympy")  # what its command imports


@dataclass(frozen=True)
class Part:
    """name: also of its shape. needs: packages beside torch and transformers. seconds: after which it is ended."""

    name: str
    check: Callable[[Size, Note], None]
    size: Size
    seconds: float
    needs: tuple[str, ...] = ()

    @property
    def missing(self) -> list[str]:
        return [package for package in self.needs if importlib.util.find_spec(package) is None]


def all_parts(sizes: Sequence[Size]) -> list[Part]:
    """List the parts: what is compared at the first size, speed at every one."""
    first = sizes[0]
    parts = [
        Part("chunked LM head against float64", check_head, first, 60),
        Part("masks and attention kernels", check_attention, first, 90),
        Part("embedded sampler against policy", check_sampler, first, 90),
        Part("packed against padded", check_packing, first, 90),
        Part("shared prefixes against rows apart", check_prefixes, first, 60),
    ]
    needs = {"deepspeed": ("deepspeed",), "lora": ("peft",)}
    for size in sizes:
        for engine in ENGINES:
            check = partial(measure_updates, engine=engine)
            parts.append(Part(f"updates of {size.shape}, {engine}", check, size, 75, needs.get(engine, ())))
    return [
        *parts,
        Part("vLLM colocated: sleep, push", check_colocated, first, 150, ("vllm",)),
        Part("vLLM in another process", check_separate, first, 150, ("vllm",)),
        Part("mentor: base to RL, killed and resumed", check_resume, first, 240, OF_MENTOR),
    ]
