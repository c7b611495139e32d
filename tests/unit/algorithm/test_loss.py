import math

import pytest
import torch

from mentor.algorithm.kl import kl_divergence
from mentor.algorithm.loss import LossSettings, policy_loss, token_weights

SETTINGS = LossSettings(clip_low=0.2, clip_high=0.28)


def loss_of(ratio, advantage, settings=SETTINGS, ref=None):
    sampler = torch.tensor([-1.0])
    policy = (sampler + math.log(ratio)).requires_grad_()
    loss, stats = policy_loss(policy, sampler, torch.tensor([advantage]), torch.ones(1), settings, ref)
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


def test_token_mean_counts_every_trained_token_alike():
    assert token_weights(MASK, "token")[MASK].tolist() == pytest.approx([0.25] * 4)


def test_sequence_mean_counts_every_sequence_alike_and_empty_ones_not():
    assert token_weights(MASK, "sequence")[MASK].tolist() == pytest.approx([1 / 6] * 3 + [1 / 2])


def test_nothing_trained_weighs_nothing():
    empty = torch.zeros(2, 3, dtype=torch.bool)
    assert token_weights(empty, "token").sum() == 0 and token_weights(empty, "sequence").sum() == 0


@pytest.mark.parametrize(("estimator", "slope"), [("k1", [0.5, -1.0]), ("k3", [1 - math.exp(-0.5), 1 - math.e])])
def test_the_gradient_of_a_kl_estimate_points_to_the_reference(estimator, slope):
    # k1: the difference itself, d = 0.5 and -1; k3: 1 - e^-d
    policy = torch.tensor([-1.0, -2.0], requires_grad=True)
    kl_divergence(policy, torch.tensor([-1.5, -1.0]), estimator).sum().backward()
    assert policy.grad.tolist() == pytest.approx(slope)
