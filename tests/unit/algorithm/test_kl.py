"""Estimators of KL(policy || reference) by hand; how they join the loss is in test_loss.py."""

import pytest
import torch

from mentor.algorithm.kl import kl_divergence


def test_estimates_by_hand():
    policy, ref = torch.tensor([-1.0, -2.0]), torch.tensor([-1.5, -1.0])  # d = 0.5, -1
    assert kl_divergence(policy, ref, "k1").tolist() == pytest.approx([0.5, -1.0])
    assert kl_divergence(policy, ref, "k3").tolist() == pytest.approx([0.1065307, 0.7182818], rel=1e-5)
    with pytest.raises(ValueError, match="kl_estimator=k2, accepted: k1, k3"):
        kl_divergence(policy, ref, "k2")


def test_gradients_by_hand():
    ref = torch.tensor([-1.5])
    for estimator, slope in (("k1", 0.5), ("k3", 1 - 2.718281828**-0.5)):  # d, and 1 - exp(-d)
        policy = torch.tensor([-1.0], requires_grad=True)
        kl_divergence(policy, ref, estimator).sum().backward()
        assert policy.grad.item() == pytest.approx(slope)
