"""oneDNN's products against torch's own: values, gradients, and what is left to torch."""

import pytest
import torch
from torch import nn

from mentor.policy.model import load_model
from mentor.policy.products import LARGE, Linear, choose_products, multiply
from tests.fixtures.policies import make_policy

onednn = pytest.mark.skipif(
    not (torch.backends.mkldnn.is_available() and torch.backends.mkl.is_available()), reason="torch without oneDNN"
)


def layers(inner, outer, bias):
    torch.manual_seed(0)
    plain = nn.Linear(inner, outer, bias=bias)
    other = nn.Linear(inner, outer, bias=bias)
    other.load_state_dict(plain.state_dict())
    choose_products(other)
    return plain, other


@onednn
@pytest.mark.parametrize("bias", [False, True])
@pytest.mark.parametrize(("inner", "outer"), [(96, 160), (160, 96)])
def test_values_and_gradients_are_torchs(inner, outer, bias):
    plain, other = layers(inner, outer, bias)
    assert type(plain) is nn.Linear and type(other) is Linear
    rows, upstream = torch.randn(3, 400, inner), torch.randn(3, 400, outer)
    found = []
    for layer in (plain, other):
        given = rows.clone().requires_grad_()
        output = layer(given)
        output.backward(upstream)
        found.append([output, given.grad, *(parameter.grad for parameter in layer.parameters())])
    assert rows.numel() * outer > LARGE
    for expected, value in zip(*found, strict=True):
        assert value.shape == expected.shape
        assert torch.allclose(value, expected, rtol=1e-5, atol=1e-6 * expected.abs().max().item())


@onednn
def test_large_products_in_float32_are_onednns():
    _, layer = layers(128, 128, False)
    ours = "_LinearBackward"
    assert layer(torch.randn(LARGE // 128**2, 128)).grad_fn.name() == ours
    assert layer(torch.randn(LARGE // 128**2 - 1, 128)).grad_fn.name() != ours
    with torch.autocast("cpu", torch.bfloat16):
        output = layer(torch.randn(LARGE // 128**2, 128))
    assert output.dtype == torch.bfloat16 and output.grad_fn.name() != ours
    assert layer.double()(torch.randn(LARGE // 128**2, 128).double()).grad_fn.name() != ours


@onednn
def test_a_frozen_weight_gets_no_gradient():
    _, layer = layers(128, 128, True)
    layer.requires_grad_(False)
    rows = torch.randn(1200, 128, requires_grad=True)
    layer(rows).sum().backward()
    assert torch.allclose(rows.grad, layer.weight.sum(0).expand(1200, 128), atol=1e-5)
    assert layer.weight.grad is None and layer.bias.grad is None


def test_a_product_is_the_same_however_large():
    rows, columns = torch.randn(1400, 64), torch.randn(200, 64)
    assert rows.numel() * len(columns) > LARGE
    small = torch.cat([multiply(rows[:1], columns), multiply(rows[1:], columns)])
    assert torch.allclose(small, rows @ columns.T, atol=1e-4)


@onednn
def test_a_loaded_model_has_such_layers_and_is_saved_without_a_trace(student, chat, tmp_path):
    make_policy(student, chat).save_model(tmp_path)
    loaded = load_model(tmp_path)
    assert sum(type(module) is Linear for module in loaded.modules()) == 2 * 7 + 1
    assert loaded.state_dict().keys() == student.state_dict().keys()
    assert "products" not in (tmp_path / "config.json").read_text()
