"""Muon in float32 against torch's, which iterates in bfloat16."""

import pytest
import torch

from mentor.policy.muon import Muon, orthogonal


@pytest.mark.parametrize("shape", [(96, 32), (32, 96), (64, 64)])
def test_steps_as_torch_does_to_the_precision_of_bfloat16(shape):
    torch.manual_seed(0)
    start = torch.randn(shape)
    ours, theirs = (torch.nn.Parameter(start.clone()) for _ in range(2))
    one = Muon([ours], lr=0.1, weight_decay=0.01)
    other = torch.optim.Muon([theirs], lr=0.1, weight_decay=0.01, adjust_lr_fn="match_rms_adamw")
    for _ in range(3):
        ours.grad = torch.randn(shape)
        theirs.grad = ours.grad.clone()
        one.step()
        other.step()
    assert torch.equal(one.state[ours]["momentum_buffer"], other.state[theirs]["momentum_buffer"])
    assert float((ours - theirs).detach().norm() / (theirs - start).detach().norm()) < 0.02


def test_singular_values_come_near_one():
    torch.manual_seed(0)
    matrix = torch.randn(48, 24) * torch.logspace(0, -1, 24)
    before = torch.linalg.svdvals(matrix)
    after = torch.linalg.svdvals(orthogonal(matrix, (3.4445, -4.7750, 2.0315), 5, 1e-7))
    assert before.max() / before.min() > 10
    assert after.min() > 0.6 and after.max() < 1.3
