"""Matrix products are counted by hand, attention of a CPU included."""

import json
from pathlib import Path

import pytest
import torch
from torch.nn.functional import scaled_dot_product_attention
from torch.utils.flop_counter import FlopCounterMode

from mentor.policy.products import LARGE, Linear, choose_products
from scripts.step_benchmark.products import OF_CPUS, rates, read_groups, student_products, timed_size
from tests.fixtures.groups import make_group


@pytest.mark.parametrize("causal", [False, True])
def test_attention_of_a_cpu_is_counted(causal: bool):
    query = torch.randn(2, 4, 16, 8, requires_grad=True)
    with FlopCounterMode(display=False, custom_mapping=OF_CPUS) as counter:
        scaled_dot_product_attention(query, query, query, is_causal=causal).sum().backward()
    product = 2 * (2 * 4) * 16 * 16 * 8  # of a row with a column: a multiplication and an addition each
    assert counter.get_total_flops() == (2 + 5) * product // (2 if causal else 1)  # scores are computed again


@pytest.mark.skipif(not torch.backends.mkldnn.is_available(), reason="torch without oneDNN")
def test_products_of_linear_layers_are_counted():
    layer = torch.nn.Linear(256, 128, bias=False)
    choose_products(layer)
    rows = torch.randn(16, 32, 256, requires_grad=True)
    with FlopCounterMode(display=False, custom_mapping=OF_CPUS) as counter:
        layer(rows).sum().backward()
    assert type(layer) is Linear and rows.numel() * 128 >= LARGE
    assert counter.get_total_flops() == 3 * 2 * (16 * 32) * 256 * 128  # forward, of the rows, of the weight


def test_a_rate_is_measured_for_every_product(tmp_path: Path):
    (tmp_path / "config.json").write_text(
        json.dumps({"hidden_size": 8, "intermediate_size": 16, "vocab_size": 32, "num_attention_heads": 2})
    )
    products = student_products(tmp_path, tokens=4)
    assert products == [("queries", 4, 8, 8), ("MLP, up", 4, 8, 16), ("MLP, down", 4, 16, 8), ("LM head", 4, 8, 32)]
    threads = torch.get_num_threads()
    ((name, (plain, own)),) = rates(products[:1], threads).items()
    assert name == "queries" and plain > 0 and own > 0


def test_the_size_of_micro_batches_that_a_run_found(tmp_path: Path):
    assert timed_size(tmp_path) is None
    (tmp_path / "micro_batch_tokens.json").write_text('{"micro_batch_tokens": 2048, "seconds": {}}')
    assert timed_size(tmp_path) == 2048


def test_groups_of_the_last_step_are_read(tmp_path: Path):
    group = make_group([1.0, 0.0])
    for trajectory in group.trajectories:
        trajectory.messages = [{"role": "user", "content": "q"}]
    rows = [
        {"step": step, **trajectory.to_dict(), "reward": {"total": reward.total}, "advantage": step + place}
        for step in (1, 2)
        for place, (trajectory, reward) in enumerate(zip(group.trajectories, group.rewards, strict=True))
    ]
    path = tmp_path / "trajectories.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    (found,) = read_groups(path, size=2)
    assert found.advantages == [2, 3] and [reward.total for reward in found.rewards] == [1.0, 0.0]
    assert len(found.trajectories) == 2 and found.task == group.task
