"""Norms in fewer passes against transformers' own, and which modules are recognised."""

import pytest
import torch
from torch import nn
from transformers.models.gemma2.modeling_gemma2 import Gemma2RMSNorm
from transformers.models.llama.modeling_llama import LlamaRMSNorm
from transformers.models.qwen3.modeling_qwen3 import Qwen3RMSNorm

from mentor.policy.norms import FewerPasses, choose_norms
from tests.fixtures.families import make_family


def pair(kind, width):
    found = [kind(width), kind(width)]
    for norm in found:
        norm.weight.data = torch.linspace(0.5, 2.0, width)
    choose_norms(found[1])
    return found


@pytest.mark.parametrize("kind", [LlamaRMSNorm, Qwen3RMSNorm])
@pytest.mark.parametrize("shape", [(3, 20, 48), (2, 9, 4, 16)])
def test_values_and_gradients_are_transformers(kind, shape):
    plain, other = pair(kind, shape[-1])
    assert isinstance(other, FewerPasses) and isinstance(other, kind) and not isinstance(plain, FewerPasses)
    generator = torch.Generator().manual_seed(0)
    rows, upstream = (torch.randn(shape, generator=generator) for _ in range(2))
    found = []
    for norm in (plain, other):
        given = rows.clone().requires_grad_()
        output = norm(given)
        output.backward(upstream)
        with torch.no_grad():
            assert torch.equal(norm(given), output)
        found.append((output.detach(), given.grad, norm.weight.grad))
    for expected, value in zip(*found, strict=True):
        assert torch.allclose(value, expected, rtol=1e-5, atol=1e-6 * expected.abs().max().item())


def test_other_types_are_computed_by_the_norm_itself():
    plain, other = pair(LlamaRMSNorm, 16)
    rows = torch.randn(4, 16, dtype=torch.bfloat16)
    assert torch.equal(plain(rows), other(rows)) and torch.equal(
        plain.double()(rows.double()), other.double()(rows.double())
    )


def test_a_frozen_weight_gets_no_gradient():
    _, norm = pair(LlamaRMSNorm, 16)
    norm.weight.requires_grad_(False)
    rows = torch.randn(4, 16, requires_grad=True)
    norm(rows).sum().backward()
    assert norm.weight.grad is None and rows.grad is not None


def test_what_computes_something_else_stays_as_it_is():
    for norm in (Gemma2RMSNorm(16), nn.LayerNorm(16, bias=False), nn.Linear(16, 16, bias=False), nn.PReLU(16)):
        kind = type(norm)
        choose_norms(norm)
        assert type(norm) is kind


def test_a_models_norms_are_found_once():
    model = make_family("llama")
    norms = [module for module in model.modules() if isinstance(module, FewerPasses)]
    kinds = [type(norm) for norm in norms]
    choose_norms(model)
    assert len(norms) == 5 and [type(norm) for norm in norms] == kinds
