"""Matrix products: the most that this machine does of them in a second, and those of an update."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from math import prod
from pathlib import Path
from statistics import median
from time import perf_counter
from typing import Any

import torch
from hydra import compose, initialize_config_dir
from torch.utils.flop_counter import FlopCounterMode, sdpa_backward_flop_count, sdpa_flop_count

from mentor.chat import ChatFormat
from mentor.compose import register_schemas, to_config
from mentor.conf_dir import conf_dir
from mentor.config import RlTrainer, SamplerConfig
from mentor.policy.products import multiply
from mentor.policy.ranks import Ranks
from mentor.rl.experience import gather_experience
from mentor.rl.update import update_policy
from mentor.stages.rl_models import load_policy
from mentor.stages.rl_settings import algorithm_settings
from mentor.stages.timed_size import FILE
from mentor.trajectories.store import load_trajectories
from mentor.types import RewardBreakdown, TrajectoryGroup

Product = tuple[str, int, int, int]
"""A name, and the sizes m, k, n of (m, k) @ (k, n)."""
LARGE: tuple[Product, ...] = (("1,024 cubed", 1024, 1024, 1024), ("2,048 cubed", 2048, 2048, 2048))
SECONDS = 0.4  # of each measurement


def student_products(model: Path, tokens: int = 2048) -> list[Product]:
    """List the products of a student's forward pass over `tokens` tokens, the attention's apart."""
    config = json.loads((model / "config.json").read_text())
    hidden, width, words = config["hidden_size"], config["intermediate_size"], config["vocab_size"]
    heads = config["num_attention_heads"] * config.get("head_dim", hidden // config["num_attention_heads"])
    return [
        ("queries", tokens, hidden, heads),
        ("MLP, up", tokens, hidden, width),
        ("MLP, down", tokens, width, hidden),
        ("LM head", tokens, hidden, words),
    ]


def rates(products: Sequence[Product], threads: int) -> dict[str, tuple[float, float]]:
    """Measure 10^9 floating-point operations a second, in float32, by torch.mm and as the policy does."""
    torch.set_num_threads(threads)
    return {name: _rates(m, k, n) for name, m, k, n in products}


def _rates(m: int, k: int, n: int) -> tuple[float, float]:
    left, right = torch.randn(m, k), torch.randn(n, k)
    ways: tuple[Callable[[], torch.Tensor], ...] = (
        lambda: torch.mm(left, right.T),
        lambda: multiply(left, right),
    )
    found: list[list[float]] = [[], []]
    until = perf_counter() + SECONDS
    while perf_counter() < until or len(found[0]) < 4:
        for way, times in zip(ways, found, strict=True):
            began = perf_counter()
            way()
            times.append(perf_counter() - began)
    one, other = (2e-9 * m * k * n / median(times[1:]) for times in found)
    return one, other


def count_update(overrides: Sequence[str], model: Path, stage: Path, size: int | None = None) -> float:
    """Count 10^9 floating-point operations in the products of an update on the trajectories that a stage stored last.

    The stage's own functions do the update, forward and backward, in this process. Each multiplication and each
    addition counts; of causal attention half of the square.

    size: of micro-batches, in tokens; None: what the trainer takes where it times none.
    """
    register_schemas()
    with initialize_config_dir(str(conf_dir()), version_base="1.3"):
        config = to_config(compose("config", overrides=[*overrides, "trainer.num_processes=1"]))
    trainer, sampling = config.trainer, config.sampler
    assert isinstance(trainer, RlTrainer) and isinstance(sampling, SamplerConfig)
    chat, ranks = ChatFormat.from_pretrained(model), Ranks()
    policy = load_policy(model, chat, config, trainer, ranks)
    policy.micro_batch_tokens = size or policy.micro_batch_tokens
    algorithm = algorithm_settings(trainer, sampling, config.distill)
    groups = read_groups(stage / "trajectories" / "trajectories.jsonl", trainer.group_size)
    experience = gather_experience(groups, policy, None, chat.pad_id, algorithm, "products")
    with FlopCounterMode(display=False, custom_mapping=OF_CPUS) as counter:
        update_policy(policy, experience, algorithm, "products", ranks)
    return 1e-9 * counter.get_total_flops()


def timed_size(stage: Path) -> int | None:
    """Return what trainer.micro_batch_tokens=auto found in a run; None where it has timed nothing."""
    path = stage / FILE
    return int(json.loads(path.read_text())["micro_batch_tokens"]) if path.is_file() else None


def read_groups(path: Path, size: int) -> list[TrajectoryGroup]:
    """Read the groups of the last step with their rewards and advantages."""
    rows = [json.loads(line) for line in path.read_text().splitlines()]
    trajectories = load_trajectories(path)
    last = [place for place, row in enumerate(rows) if row["step"] == rows[-1]["step"]]
    parts = [last[start : start + size] for start in range(0, len(last), size)]
    return [
        TrajectoryGroup(
            trajectories[part[0]].task,
            [trajectories[place] for place in part],
            [RewardBreakdown(rows[place]["reward"]["total"], {}) for place in part],
            [rows[place]["advantage"] for place in part],
        )
        for part in parts
    ]


def _attention_forward(
    query: Any, key: Any, value: Any, dropout_p: float = 0.0, is_causal: bool = False, *_: Any, **__: Any
) -> int:
    return int(sdpa_flop_count(query, key, value)) // (2 if is_causal else 1)


def _attention_backward(
    grad: Any,
    query: Any,
    key: Any,
    value: Any,
    out: Any,
    log: Any,
    dropout_p: float,
    is_causal: bool,
    *_: Any,
    **__: Any,
) -> int:
    return int(sdpa_backward_flop_count(grad, query, key, value)) // (2 if is_causal else 1)


def _linear(rows: Any, weight: Any, *_: Any, **__: Any) -> int:
    return 2 * prod(rows) * int(weight[0])


OF_CPUS = {
    torch.ops.mkldnn._linear_pointwise: _linear,
    torch.ops.aten._scaled_dot_product_flash_attention_for_cpu: _attention_forward,
    torch.ops.aten._scaled_dot_product_flash_attention_for_cpu_backward: _attention_backward,
}
"""What torch's counter does not know: oneDNN's products, and the attention of a CPU."""
