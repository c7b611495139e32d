import pytest
import torch

pytest.importorskip("vllm")

from vllm.config import VllmConfig, set_current_vllm_config
from vllm.model_executor.layers.layernorm import GemmaRMSNorm, RMSNorm

from mentor.sampling.vllm_norms import KernelNorm, choose_kernel_norms

EPSILON = 1e-6


def norms(dtype: torch.dtype = torch.float32) -> list[RMSNorm]:
    """Make vLLM's norm of 24 features and one that computes by the kernel, with the same weight."""
    made = []
    with set_current_vllm_config(VllmConfig()):
        for _ in range(2):
            norm = RMSNorm(24, EPSILON, dtype=dtype)
            norm.weight.data = torch.linspace(0.2, 3.0, 24).to(dtype)
            made.append(norm)
    choose_kernel_norms(torch.nn.Sequential(made[1]))
    return made


def expected(rows: torch.Tensor, weight: torch.Tensor) -> torch.Tensor:
    wide = rows.double()
    return (wide / (wide.pow(2).mean(-1, keepdim=True) + EPSILON).sqrt() * weight.double()).float()


def test_hand_worked_norm() -> None:
    with set_current_vllm_config(VllmConfig()):
        norm = RMSNorm(8, 0.0)
    norm.weight.data = torch.tensor([1.0, 10.0] + [1.0] * 6)
    choose_kernel_norms(norm)
    assert isinstance(norm, KernelNorm)
    found = norm(torch.tensor([[6.0, 8.0, 0.0, 0.0, 0.0, 0.0, 0.0, 10.0]]))  # the mean square is 25
    torch.testing.assert_close(found, torch.tensor([[1.2, 16.0, 0.0, 0.0, 0.0, 0.0, 0.0, 2.0]]))


@pytest.mark.parametrize("shape", [(5, 24), (5, 3, 24)])
def test_equals_the_norm_that_vllm_computes(shape: tuple[int, ...]) -> None:
    plain, kernel = norms()
    rows = torch.randn(shape, generator=torch.Generator().manual_seed(0))
    torch.testing.assert_close(kernel(rows), expected(rows, kernel.weight), rtol=2e-6, atol=1e-6)
    torch.testing.assert_close(kernel(rows), plain(rows.clone()), rtol=2e-6, atol=1e-6)


def test_rows_that_are_part_of_a_wider_tensor() -> None:
    kernel = norms()[1]
    wide = torch.randn(5, 72, generator=torch.Generator().manual_seed(1))
    rows = wide.split([24, 48], -1)[0].unflatten(-1, (1, 24))
    torch.testing.assert_close(kernel(rows), expected(rows, kernel.weight), rtol=2e-6, atol=1e-6)


def test_norm_of_a_sum_returns_the_sum_too() -> None:
    plain, kernel = norms()
    generator = torch.Generator().manual_seed(2)
    rows, residual = torch.randn(5, 24, generator=generator), torch.randn(5, 24, generator=generator)
    total = rows + residual
    for norm in (plain, kernel):
        normed, summed = norm(rows.clone(), residual.clone())
        torch.testing.assert_close(summed, total)
        torch.testing.assert_close(normed, expected(total, kernel.weight), rtol=2e-6, atol=1e-6)


def test_other_types_are_rounded_as_vllm_does() -> None:
    plain, kernel = norms(torch.bfloat16)
    rows = torch.randn(5, 24, generator=torch.Generator().manual_seed(3)).bfloat16()
    assert torch.equal(kernel(rows.clone()), plain(rows.clone()))


def test_norms_that_compute_something_else_stay() -> None:
    with set_current_vllm_config(VllmConfig()):
        others = torch.nn.ModuleList(
            [GemmaRMSNorm(8), RMSNorm(8, var_hidden_size=4), RMSNorm(8, has_weight=False), RMSNorm(12)]
        )
    choose_kernel_norms(others)
    assert not any(isinstance(norm, KernelNorm) for norm in others)
