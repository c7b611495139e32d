#!/usr/bin/env python3
"""Seconds and memory of an update's forward and backward passes with and without shared prefixes.

    python scripts/bench_prefixes.py [--shape tiny] [--prompts 60 500 1500] [--json PATH]

Groups of random tokens: members have their group's prompt and answers of unequal length. Both ways in turns on the same
weights, medians of the rounds; memory is the most beyond weights and gradients. The optimiser's step, which is the same
for both, is left out. "A pass" is trainer.micro_batch_tokens. --shape qwen3-0.6b has the layers of Qwen3-0.6B and fewer
words.
"""

from __future__ import annotations

import argparse
import random
import sys
import time
from collections.abc import Iterator
from ctypes import CDLL
from pathlib import Path
from statistics import median

import torch
from transformers import Qwen3Config, Qwen3ForCausalLM

from mentor.algorithm.batch import Batch, supervised_batch
from mentor.policy import OptimizerSettings, Policy, TorchEngine
from mentor.policy.attention import choose_attention
from mentor.policy.prefixes import PrefixTree
from mentor.policy.products import choose_products
from mentor.policy.supervised import supervised_loss
from mentor.types import Tokens
from scripts.arguments import positive_int
from scripts.benchmark_record import BenchmarkTable, add_json_option, report

SETTINGS = OptimizerSettings("adamw", 0.0)
SHAPES = {  # hidden size, feed-forward, layers, heads, key and value heads, features of a head, words
    "tiny": (128, 384, 4, 4, 2, 32, 640),
    "qwen3-0.6b": (1024, 3072, 28, 16, 8, 128, 4096),
}
COLUMNS = ("prompt", "a pass", "tokens", "computed", "apart, s", "shared, s", "ratio", "apart, MiB", "shared, MiB")


class Gradients(TorchEngine):
    """Keeps the gradients of an update in place of taking its step."""

    found: list[torch.Tensor]

    def step(self, learning_rate: float) -> float:
        parameters = list(self.scorer.model.parameters())
        self.found = [parameter.grad for parameter in parameters if parameter.grad is not None]
        self.scorer.model.zero_grad()
        return 0.0


def main(arguments: list[str]) -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--shape", choices=SHAPES, default="tiny")
    parser.add_argument("--layers", type=positive_int, help="in place of the shape's own number")
    parser.add_argument("--prompts", type=positive_int, nargs="+", default=[60, 500, 1500], help="tokens")
    parser.add_argument("--answers", type=positive_int, default=128, help="mean tokens, from half to twice as many")
    parser.add_argument("--groups", type=positive_int, default=2)
    parser.add_argument("--group-size", type=positive_int, default=8)
    parser.add_argument("--micro-batch-tokens", type=positive_int, nargs="+", default=[2048, 8192])
    parser.add_argument("--rounds", type=positive_int, default=3)
    parser.add_argument("--threads", type=positive_int, default=torch.get_num_threads())
    parser.add_argument("--checkpointing", action="store_true", help="layers are computed again in the backward pass")
    add_json_option(parser)
    settings = parser.parse_args(arguments)
    torch.set_num_threads(settings.threads)
    engine = make_engine(settings)
    sizes = settings.micro_batch_tokens
    measured = [measure(engine, prompt, size, settings) for prompt in settings.prompts for size in sizes]
    how = ", layers computed again" if settings.checkpointing else ""
    layers = engine.scorer.model.config.num_hidden_layers
    title = f"{settings.shape}, {layers} layers, float32, {settings.threads} thread(s){how}"
    apart = max(difference for _, difference in measured)
    remark = f"The gradients of the two ways differ by at most {apart:.1g} of their norm."
    report([BenchmarkTable(title, COLUMNS, [row for row, _ in measured])], settings.json, [remark])
    return 0


def make_engine(settings: argparse.Namespace) -> Gradients:
    hidden, feed_forward, layers, heads, kv_heads, features, words = SHAPES[settings.shape]
    torch.manual_seed(0)
    config = Qwen3Config(
        vocab_size=words,
        hidden_size=hidden,
        intermediate_size=feed_forward,
        num_hidden_layers=settings.layers or layers,
        num_attention_heads=heads,
        num_key_value_heads=kv_heads,
        head_dim=features,
        max_position_embeddings=8192,
        tie_word_embeddings=True,
    )
    model = Qwen3ForCausalLM(config)
    choose_attention(model, None)
    choose_products(model)
    if settings.checkpointing:
        model.gradient_checkpointing_enable({"use_reentrant": False})
    return Gradients(model, SETTINGS)


def measure(engine: Gradients, prompt: int, size: int, settings: argparse.Namespace) -> tuple[list[int | float], float]:
    """Return the row of a prompt's length and of tokens a pass, and how far apart, relatively, the gradients are."""
    batch = supervised_batch(list(records(prompt, engine.scorer.model.config.vocab_size, settings)), 0)
    apart, shared = (
        Policy(engine, None, SETTINGS, size, share_prefixes=share)  # type: ignore[arg-type]
        for share in (False, True)
    )
    computed = sum(micro.packing.size for micro in shared.micro_batches(batch) if isinstance(micro.packing, PrefixTree))
    expected = update(apart, engine, batch)[2]
    difference = distance(update(shared, engine, batch)[2], expected)
    del expected
    rounds = []
    for number in range(settings.rounds):
        one, other = (apart, shared) if number % 2 == 0 else (shared, apart)
        found = {policy is shared: update(policy, engine, batch)[:2] for policy in (one, other)}
        rounds.append((*found[False], *found[True]))
    seconds, memory, shared_seconds, shared_memory = (median(column) for column in zip(*rounds, strict=True))
    ratio = median(one[0] / one[2] for one in rounds)
    tokens = int(batch.attention.sum())
    row = [prompt, size, tokens, computed, seconds, shared_seconds, ratio, memory, shared_memory]
    return row, difference


def records(prompt: int, words: int, settings: argparse.Namespace) -> Iterator[Tokens]:
    rng = random.Random(0)
    for _ in range(settings.groups):
        asked = [rng.randrange(words) for _ in range(prompt)]
        for _ in range(settings.group_size):
            tokens, length = Tokens(), round(settings.answers * 2 ** rng.uniform(-1, 1))
            tokens.append_context(asked)
            tokens.append_sampled([rng.randrange(words) for _ in range(length)], [-1.0] * length)
            yield tokens


def update(policy: Policy, engine: Gradients, batch: Batch) -> tuple[float, float, list[torch.Tensor]]:
    """Return seconds, MiB beyond weights and gradients, and the gradients."""
    engine.found = []
    CDLL(None).malloc_trim(0)
    before = memory("VmRSS")
    Path("/proc/self/clear_refs").write_text("5")  # the peak counts from here
    began = time.perf_counter()
    policy.update(batch, supervised_loss, with_entropies=False)
    seconds = time.perf_counter() - began
    gradients = sum(gradient.numel() * gradient.element_size() for gradient in engine.found) / 2**20
    return seconds, memory("VmHWM") - before - gradients, engine.found


def memory(key: str) -> float:
    """Read MiB of this process from the kernel."""
    line = next(line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith(key))
    return int(line.split()[1]) / 1024


def distance(found: list[torch.Tensor], expected: list[torch.Tensor]) -> float:
    pairs = list(zip(found, expected, strict=True))
    apart = sum(float((one - other).double().norm()) ** 2 for one, other in pairs)
    return (apart / sum(float(other.double().norm()) ** 2 for _, other in pairs)) ** 0.5


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
