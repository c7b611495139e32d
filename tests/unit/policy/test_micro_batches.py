"""Rows with shared prefixes give the gradients, scores and stats of rows computed one by one."""

from dataclasses import replace

import pytest
import torch

from mentor.algorithm.loss import LossSettings
from mentor.policy import MostLikely, OptimizerSettings, Truncation
from mentor.policy.lora import add_adapters
from mentor.policy.micro_batches import Layout, micro_batches
from mentor.policy.prefixes import PrefixTree
from mentor.policy.supervised import supervised_loss
from mentor.rl.update import make_loss_function
from tests.fixtures.families import FAMILIES, make_family
from tests.fixtures.policies import (
    build_policy,
    gradients_of,
    make_batch,
    make_group_batch,
    make_policy,
    make_tokens,
    policy_batch,
    weights_of,
)
from tests.fixtures.students import make_small_student

SHARING = {"llama", "granite"}  # full attention by torch's kernels alone


def apart(found, expected):
    """How far two gradients are apart, as a share of their norm."""
    difference = sum(float((found[name] - value).norm()) ** 2 for name, value in expected.items()) ** 0.5
    return difference / sum(float(value.norm()) ** 2 for value in expected.values()) ** 0.5


def outcome(policy, batch):
    logprobs = policy.logprobs(batch)
    stats = policy.update(batch, make_loss_function(LossSettings(0.2, 0.28, entropy_coef=0.1)))
    return logprobs, stats, gradients_of(policy)


def policies(make_student, chat, **options):
    settings = OptimizerSettings("adamw", 1e-2, max_grad_norm=0.0)
    return [
        build_policy(make_student(), chat.tokenizer, settings, share_prefixes=share, **options)
        for share in (False, True)
    ]


@pytest.mark.parametrize("budget", [10_000, 150, 1])
@pytest.mark.parametrize("kind", ["plain", "lora", "checkpointing", "lora-checkpointing"])
def test_shared_prefixes_change_no_gradient(chat, kind, budget):
    if "lora" in kind:
        pytest.importorskip("peft")

    def make_student():
        student = make_small_student(chat)
        if "lora" in kind:
            torch.manual_seed(0)
            add_adapters(student, rank=4, alpha=8)
            for name, parameter in student.named_parameters():
                if "lora_B" in name:
                    parameter.data.normal_(0, 0.1)
        if "checkpointing" in kind:
            student.gradient_checkpointing_enable({"use_reentrant": False})
        return student

    results = []
    for policy in policies(make_student, chat, micro_batch_tokens=budget):
        parts = policy.micro_batches(make_group_batch())
        assert {isinstance(part.packing, PrefixTree) for part in parts} == {policy.share_prefixes}
        results.append(outcome(policy, make_group_batch()))
    (logprobs, stats, gradients), (shared_logprobs, shared_stats, shared) = results
    assert torch.allclose(logprobs, shared_logprobs, atol=2e-5)
    assert shared_stats == pytest.approx(stats, rel=1e-5, abs=1e-6)
    assert apart(shared, gradients) < 1e-6


def make_double_student(chat):
    """Norms of transformers compute in float32; torch's do not."""
    student = make_small_student(chat).double()
    for name, module in list(student.named_modules()):
        if type(module).__name__ == "Qwen3RMSNorm":
            norm = torch.nn.RMSNorm(len(module.weight), module.variance_epsilon, dtype=torch.float64)
            student.set_submodule(name, norm)
    return student


def test_in_float64_gradients_are_equal_to_its_rounding(chat):
    gradients, batch, hidden_size = [], make_group_batch(), 32
    weights = torch.randn(*batch.loss_mask.shape, hidden_size, generator=torch.Generator().manual_seed(0)).double()
    for policy in policies(lambda: make_double_student(chat), chat, dtype=torch.float64):
        (micro,) = policy.micro_batches(batch)
        trained = micro.part.loss_mask[:, 1:]
        hidden = policy.engine.scorer._hidden(micro.part.token_ids, micro.part.attention, trained, micro.packing)
        (hidden * weights[micro.rows][:, 1:][trained]).sum().backward()
        gradients.append({name: value.grad for name, value in policy.trained_parameters()})
    assert apart(gradients[1], gradients[0]) < 1e-12


def test_scores_and_kept_sets_are_the_same(chat):
    batch, (apart_policy, sharing) = make_group_batch(), policies(lambda: make_small_student(chat), chat)
    wanted = MostLikely(3, 290)
    for ours, theirs in (
        *zip(sharing.most_likely(batch, wanted), apart_policy.most_likely(batch, wanted), strict=True),
        *zip(
            sharing.truncated(batch, Truncation(9, 0.5)), apart_policy.truncated(batch, Truncation(9, 0.5)), strict=True
        ),
    ):
        assert torch.equal(ours, theirs) if ours.dtype == torch.int32 else torch.allclose(ours, theirs, atol=2e-5)
    drawn = replace(batch, kept=sharing.truncated(batch, Truncation(9, 0.5))[1])
    (logprobs, _, gradients), (shared_logprobs, _, shared) = outcome(apart_policy, drawn), outcome(sharing, drawn)
    assert torch.allclose(logprobs, shared_logprobs, atol=2e-5) and apart(shared, gradients) < 1e-6


def test_updates_with_shared_prefixes_repeat_bit_for_bit(chat):
    weights = []
    for _ in range(2):
        policy = make_policy(make_small_student(chat), chat, micro_batch_tokens=150)
        for seed in range(2):
            policy.update(make_group_batch(seed), supervised_loss)
        weights.append(weights_of(policy))
    assert all(torch.equal(value, weights[1][name]) for name, value in weights[0].items())


def test_rows_that_have_nothing_in_common_are_computed_as_before(chat):
    found = []
    for policy in policies(lambda: make_small_student(chat), chat, micro_batch_tokens=40):
        assert all(part.packing is None for part in policy.micro_batches(make_batch()))
        found.append(outcome(policy, make_batch()))
    assert torch.equal(found[0][0], found[1][0]) and found[0][1] == found[1][1]


@pytest.mark.parametrize("name", FAMILIES)
def test_only_full_attention_shares_prefixes(name):
    records = [
        make_tokens(0, 20, 3, 97),
        make_tokens(0, 20, 5, 97),
        make_tokens(0, 20, 9, 97),
        make_tokens(1, 9, 9, 97),
    ]
    for number, record in enumerate(records[:3]):
        record.token_ids[20:] = [(3 + number + place) % 97 for place in range(len(record.token_ids) - 20)]
    batch = policy_batch(records, [1.0, -1.0, 2.0, -2.0])
    results = []
    for share in (False, True):
        policy = build_policy(
            make_family(name), None, OptimizerSettings("adamw", 0.0, max_grad_norm=0.0), share_prefixes=share
        )
        assert policy.share_prefixes == (share and name in SHARING)
        results.append(outcome(policy, batch))
    assert torch.allclose(results[0][0], results[1][0], atol=2e-5) and apart(results[1][2], results[0][2]) < 2e-6


def test_every_rank_has_as_many_micro_batches_and_each_row_is_once_in_them():
    batch, device = make_group_batch(), torch.device("cpu")
    layout = Layout(share_prefixes=True, packing=False, by_lengths=False, recomputes=False)
    parts = [micro_batches(batch, layout, 150, 3, rank, device) for rank in range(3)]
    assert len({len(own) for own in parts}) == 1
    rows = [row for own in parts for micro in own if not micro.filler for row in micro.rows.tolist()]
    assert sorted(rows) == list(range(len(batch)))
    for own in parts:
        for micro in own:
            assert micro.filler or torch.equal(micro.part.token_ids, batch.take(micro.rows).token_ids)
            assert not micro.filler or not micro.part.weights.any()
