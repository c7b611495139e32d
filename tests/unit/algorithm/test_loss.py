import math

import pytest
import torch

from mentor.algorithm.kl import kl_divergence
from mentor.algorithm.loss import LossSettings, TrainedTokens, policy_loss, sequence_mean, token_weights

SETTINGS = LossSettings(clip_low=0.2, clip_high=0.28)


def loss_of(ratio, advantage, settings=SETTINGS, ref=None):
    sampler = torch.tensor([-1.0])
    policy = (sampler + math.log(ratio)).requires_grad_()
    tokens = TrainedTokens(sampler, torch.tensor([advantage]), torch.ones(1), torch.zeros(1).long(), ref_logprobs=ref)
    loss, stats = policy_loss(policy, torch.zeros(1), tokens, settings)
    loss.backward()
    return loss.item(), policy.grad.item(), {name: value.item() for name, value in stats.items()}


@pytest.mark.parametrize(
    ("ratio", "advantage", "loss", "clipped"),
    [
        (1.0, 2.0, -2.0, 0.0),
        (1.1, 2.0, -2.2, 0.0),
        (1.5, 2.0, -2.56, 1.0),  # 1.28 * 2
        (0.5, 2.0, -1.0, 0.0),  # going down with a positive advantage is never clipped
        (0.5, -2.0, 1.6, 1.0),  # 0.8 * -2
        (1.5, -2.0, 3.0, 0.0),  # going up with a negative advantage is never clipped
    ],
)
def test_clipped_surrogate(ratio, advantage, loss, clipped):
    value, gradient, stats = loss_of(ratio, advantage)
    assert value == pytest.approx(loss, rel=1e-5)
    assert stats["policy/clip_frac"] == clipped and stats["policy/ratio"] == pytest.approx(ratio, rel=1e-5)
    assert gradient == pytest.approx(0.0 if clipped else -ratio * advantage, rel=1e-5)


@pytest.mark.parametrize(
    ("ratio", "advantage", "loss", "bounded"),
    [
        (2.9, -2.0, 5.8, 0.0),  # below c
        (3.5, -2.0, 6.0, 1.0),  # 3 * 2
        (0.5, -2.0, 1.6, 0.0),  # 0.8 * 2, clipped from below as ever
        (3.5, 2.0, -2.56, 0.0),  # 1.28 * 2: a positive advantage has its own bound
    ],
)
def test_dual_clip_bounds_the_loss_of_a_negative_advantage(ratio, advantage, loss, bounded):
    value, gradient, stats = loss_of(ratio, advantage, LossSettings(0.2, 0.28, dual_clip=3.0))
    assert value == pytest.approx(loss, rel=1e-5) and stats["policy/dual_clip_frac"] == bounded
    free = loss_of(ratio, advantage)
    assert gradient == pytest.approx(0.0 if bounded else free[1], rel=1e-5)
    assert stats["policy/clip_frac"] == free[2]["policy/clip_frac"]


def test_a_bounded_surrogate_is_still_corrected_for_the_engine():
    # old - sampler: log 1.5; policy - old: log 4, bounded at 3
    old = torch.tensor([-1 + math.log(1.5)])
    settings = LossSettings(0.2, 0.28, importance_cap=2.0, dual_clip=3.0)
    loss, gradient, _ = of_sequences([math.log(6.0)], [-2.0], [0], settings, old=old)
    assert loss == pytest.approx(1.5 * 3 * 2) and gradient == [0.0]


def test_kl_estimators():
    policy, ref = torch.tensor([-1.0, -2.0]), torch.tensor([-1.5, -1.0])
    assert kl_divergence(policy, ref, "k1").tolist() == pytest.approx([0.5, -1.0])
    # k3 with d = 0.5 and -1: e^-0.5 - 1 + 0.5 and e^1 - 1 - 1
    assert kl_divergence(policy, ref, "k3").tolist() == pytest.approx([0.1065307, 0.7182818], rel=1e-5)
    with pytest.raises(ValueError, match="k1, k3"):
        kl_divergence(policy, ref, "k2")


def test_kl_joins_the_loss_with_its_coefficient():
    settings = LossSettings(0.2, 0.28, kl_coef=0.1, kl_estimator="k1")
    value, _, stats = loss_of(1.0, 2.0, settings, ref=torch.tensor([-1.5]))
    assert value == pytest.approx(-2.0 + 0.1 * 0.5) and stats["policy/kl"] == pytest.approx(0.5)


MASK = torch.tensor([[0, 1, 1, 1], [0, 1, 0, 0], [0, 0, 0, 0]], dtype=torch.bool)
OWN = torch.arange(3)  # every row is a trajectory of its own


def test_token_mean_counts_every_trained_token_alike():
    assert token_weights(MASK, OWN, "token")[MASK].tolist() == pytest.approx([0.25] * 4)


def test_sequence_mean_counts_every_sequence_alike_and_empty_ones_not():
    assert token_weights(MASK, OWN, "sequence")[MASK].tolist() == pytest.approx([1 / 6] * 3 + [1 / 2])


def test_a_trajectory_of_several_rows_counts_once():
    # trajectory 4 has 3 + 1 trained tokens in two rows, trajectory 7 has 2
    mask = torch.tensor([[0, 1, 1, 1], [0, 0, 1, 0], [0, 1, 1, 0]], dtype=torch.bool)
    numbers = torch.tensor([4, 4, 7])
    assert token_weights(mask, numbers, "sequence")[mask].tolist() == pytest.approx([1 / 8] * 4 + [1 / 4] * 2)
    assert token_weights(mask, numbers, "token")[mask].tolist() == pytest.approx([1 / 6] * 6)
    assert token_weights(mask, numbers, "constant", 10)[mask].tolist() == pytest.approx([1 / 20] * 6)


def test_nothing_trained_weighs_nothing():
    empty = torch.zeros(2, 3, dtype=torch.bool)
    assert token_weights(empty, OWN[:2], "token").sum() == 0 and token_weights(empty, OWN[:2], "sequence").sum() == 0


@pytest.mark.parametrize(("estimator", "slope"), [("k1", [0.5, -1.0]), ("k3", [1 - math.exp(-0.5), 1 - math.e])])
def test_the_gradient_of_a_kl_estimate_points_to_the_reference(estimator, slope):
    # k1: the difference itself, d = 0.5 and -1; k3: 1 - e^-d
    policy = torch.tensor([-1.0, -2.0], requires_grad=True)
    kl_divergence(policy, torch.tensor([-1.5, -1.0]), estimator).sum().backward()
    assert policy.grad.tolist() == pytest.approx(slope)


def test_constant_mean_divides_by_a_fixed_number_of_tokens():
    # two sequences with a trained token, 10 tokens each
    assert token_weights(MASK, OWN, "constant", 10)[MASK].tolist() == pytest.approx([1 / 20] * 4)
    with pytest.raises(ValueError, match="max_tokens"):
        token_weights(MASK, OWN, "constant")


def of_sequences(log_ratios, advantages, rows, settings, old=None, entropies=None):
    """The loss and its gradient on tokens of equal weight whose sampler logprobs are -1."""
    n = len(log_ratios)
    sampler = torch.full((n,), -1.0)
    policy = (sampler + torch.tensor(log_ratios)).requires_grad_()
    tokens = TrainedTokens(
        sampler, torch.tensor(advantages), torch.full((n,), 1 / n), torch.tensor(rows), old_logprobs=old
    )
    loss, stats = policy_loss(policy, torch.zeros(n) if entropies is None else entropies, tokens, settings)
    loss.backward()
    return loss.item(), policy.grad.tolist(), stats


def test_a_sequence_has_one_ratio_the_geometric_mean_of_its_tokens():
    # first sequence: mean log ratio (0.1 + 0.3) / 2, unclipped below 1.5; second: -0.2, clipped at 0.9 with A < 0
    settings = LossSettings(0.1, 0.5, ratio="sequence")
    loss, gradient, stats = of_sequences([0.1, 0.3, -0.2], [2.0, 2.0, -1.0], [0, 0, 4], settings)
    first = math.exp(0.2)
    assert loss == pytest.approx(-(2 * 2 * first - 0.9) / 3)
    # each token of the first moves the mean by half: 2 tokens * 1/3 * 2 * ratio * 1/2
    assert gradient == pytest.approx([-2 / 3 * first, -2 / 3 * first, 0.0])
    assert stats["policy/clip_frac"].item() == pytest.approx(1 / 3)


def test_sequences_of_one_token_are_the_token_ratio():
    values = [0.1, -0.4, 0.3], [1.0, -1.0, 0.5], [0, 1, 2]
    token, sequence = (of_sequences(*values, LossSettings(0.2, 0.28, ratio=ratio)) for ratio in ("token", "sequence"))
    assert token[0] == pytest.approx(sequence[0]) and token[1] == pytest.approx(sequence[1])
    with pytest.raises(ValueError, match="token, sequence"):
        of_sequences(*values, LossSettings(0.2, 0.28, ratio="turn"))


def test_truncated_importance_sampling_corrects_for_the_engine_and_no_further_than_its_cap():
    # old - sampler: log 1.5 and log 3, capped at 2; the policy has not moved, so the ratio is 1
    corrections = torch.tensor([1.5, 3.0]).log()
    settings = LossSettings(0.2, 0.28, importance_cap=2.0)
    loss, gradient, stats = of_sequences(corrections.tolist(), [1.0, -2.0], [0, 1], settings, old=-1 + corrections)
    assert loss == pytest.approx(-(1.5 * 1.0 + 2.0 * -2.0) / 2)
    assert gradient == pytest.approx([-0.75, 2.0])
    assert stats["policy/importance_capped"].item() == 0.5 and stats["policy/ratio"].item() == pytest.approx(1.0)


def test_with_a_ratio_per_sequence_the_correction_is_one_too():
    # old - sampler: mean of log 4 and log 1 is log 2, below the cap of 3; log 8 is above
    corrections = torch.tensor([4.0, 1.0, 8.0]).log()
    settings = LossSettings(0.2, 0.28, ratio="sequence", importance_cap=3.0)
    loss, _, stats = of_sequences(corrections.tolist(), [1.0, 1.0, -1.0], [2, 2, 3], settings, old=-1 + corrections)
    assert loss == pytest.approx(-(2 * 2.0 * 1.0 - 3.0) / 3)
    assert stats["policy/importance_capped"].item() == pytest.approx(1 / 3)
    # of all tokens, whatever the ratio is taken against: x - 1 - log x
    expected = sum(x - 1 - math.log(x) for x in (4.0, 1.0, 8.0)) / 3
    assert stats["policy/sampler_kl"].item() == pytest.approx(expected)


def test_a_cap_without_the_old_logprobs_is_refused():
    with pytest.raises(ValueError, match=r"importance_cap=2\.0 needs old_logprobs"):
        of_sequences([0.0], [1.0], [0], LossSettings(0.2, 0.28, importance_cap=2.0))


def test_a_sequence_mean_by_hand():
    values = torch.tensor([1.0, 3.0, 5.0, -2.0], requires_grad=True)
    means = sequence_mean(values, torch.tensor([0, 0, 3, 5]))
    assert means.tolist() == [2.0, 2.0, 5.0, -2.0]
    (means * torch.tensor([1.0, 2.0, 3.0, 4.0])).sum().backward()
    assert values.grad.tolist() == [1.5, 1.5, 3.0, 4.0]
    assert sequence_mean(torch.zeros(0), torch.zeros(0, dtype=torch.long)).shape == (0,)


def test_equal_engines_need_no_correction():
    values = [0.1, -0.4], [1.0, -1.0], [0, 1]
    plain = of_sequences(*values, LossSettings(0.2, 0.28))
    corrected = of_sequences(*values, LossSettings(0.2, 0.28, importance_cap=100.0), old=torch.full((2,), -1.0))
    assert plain[0] == pytest.approx(corrected[0]) and plain[1] == pytest.approx(corrected[1])


def test_the_entropy_bonus_lowers_the_loss_and_has_a_gradient():
    entropies = torch.tensor([0.5, 1.5], requires_grad=True)
    loss, _, stats = of_sequences(
        [0.0, 0.0], [0.0, 0.0], [0, 1], LossSettings(0.2, 0.2, entropy_coef=0.1), None, entropies
    )
    assert loss == pytest.approx(-0.1 * 1.0) and stats["policy/entropy"].item() == pytest.approx(1.0)
    assert entropies.grad.tolist() == pytest.approx([-0.05, -0.05])
