"""Divergences from a teacher and advantages from its logprobs, against numbers worked out by hand."""

import math

import pytest
import torch

from mentor.algorithm.distillation import REST, DistillSettings, distilled_advantages, token_divergence, with_rest

OWN = torch.arange(2)
MASK = torch.tensor([[0, 1, 0, 1], [0, 1, 1, 0]], dtype=torch.bool)
POLICY = torch.tensor([[0.0, -1.0, 0.0, -2.0], [0.0, -0.5, -3.0, 0.0]])
TEACHER = torch.tensor([[0.0, -3.0, 9.0, -1.0], [9.0, -0.5, -1.0, 9.0]])


def test_a_sampled_token_has_the_advantage_that_the_teacher_likes_it_more():
    found = distilled_advantages(POLICY, TEACHER, MASK, OWN)
    assert found.tolist() == [[0.0, -2.0, 0.0, 1.0], [0.0, 0.0, 2.0, 0.0]] and found.dtype == torch.float32


def test_later_tokens_count_with_the_discount_and_context_between_is_no_distance():
    found = distilled_advantages(POLICY, TEACHER, MASK, OWN, discount=0.5)
    assert found.tolist() == [[0.0, -1.5, 0.0, 1.0], [0.0, 1.0, 2.0, 0.0]]
    # both rows are one trajectory: gaps -2, 1, 0, 2 from its end on are 2, 1, 1.5, -1.25
    one = distilled_advantages(POLICY, TEACHER, MASK, torch.tensor([3, 3]), discount=0.5)
    assert one.tolist() == [[0.0, -1.25, 0.0, 1.5], [0.0, 1.0, 2.0, 0.0]]


def test_the_whole_return_has_the_gradient_of_the_sequence_divergence():
    """Two tokens of two outcomes each: the expected gradient of the returns is that of the exact reverse KL."""
    logits = torch.tensor([0.3, -0.4, 0.9], dtype=torch.float64, requires_grad=True)  # of the first; after 0; after 1
    teacher = torch.tensor([-0.2, 0.5, 0.1], dtype=torch.float64)

    def sequences(values):
        for first in (0, 1):
            for second in (0, 1):
                one = torch.nn.functional.logsigmoid(values[0] * (1 - 2 * first))
                yield one, torch.nn.functional.logsigmoid(values[1 + first] * (1 - 2 * second))

    pairs = list(zip(sequences(logits), sequences(teacher), strict=True))
    exact = sum(((a + b).exp() * (a + b - c - d)).sum() for (a, b), (c, d) in pairs)
    (expected,) = torch.autograd.grad(exact, logits, retain_graph=True)
    surrogate = 0.0
    for own, other in pairs:
        row, mask = torch.stack(own)[None], torch.ones(1, 2, dtype=torch.bool)
        returns = distilled_advantages(row.detach(), torch.stack(other)[None], mask, torch.zeros(1), 1.0)
        surrogate = surrogate - row.sum().exp().detach() * (returns * row).sum()
    (found,) = torch.autograd.grad(surrogate, logits)
    assert found.tolist() == pytest.approx(expected.tolist(), abs=1e-7)


@pytest.mark.parametrize(
    ("divergence", "expected"),
    [
        # S = (1/2, 1/4, rest 1/4), P = (1/4, 1/4, rest 1/2)
        ("reverse_kl", 0.5 * math.log(2) - 0.25 * math.log(2)),
        ("forward_kl", -0.25 * math.log(2) + 0.5 * math.log(2)),
        # M = (3/8, 1/4, 3/8): both halves are 1/4 log(2/3) + 1/2 log(4/3)
        ("jsd", 0.25 * math.log(2 / 3) + 0.5 * math.log(4 / 3)),
    ],
)
def test_divergences_by_hand(divergence, expected):
    policy, teacher = torch.tensor([[0.5, 0.25]]).log(), torch.tensor([[0.25, 0.25]]).log()
    found = token_divergence(policy, teacher, DistillSettings(1.0, divergence=divergence))
    assert found.tolist() == pytest.approx([expected]) and found.dtype == torch.float32
    assert token_divergence(teacher, teacher, DistillSettings(1.0, divergence=divergence)).item() == 0.0


def test_the_mixture_leans_to_the_teacher_by_beta():
    # b = 1/4: M = (7/16, 1/4, 5/16)
    policy, teacher = torch.tensor([[0.5, 0.25]]).log(), torch.tensor([[0.25, 0.25]]).log()
    of_teacher = 0.25 * math.log(4 / 7) + 0.5 * math.log(8 / 5)
    of_policy = 0.5 * math.log(8 / 7) + 0.25 * math.log(4 / 5)
    found = token_divergence(policy, teacher, DistillSettings(1.0, divergence="jsd", jsd_beta=0.25))
    assert found.item() == pytest.approx(0.25 * of_teacher + 0.75 * of_policy)


@pytest.mark.parametrize("divergence", ["reverse_kl", "forward_kl", "jsd"])
def test_listing_all_tokens_is_exact_and_fewer_a_lower_bound(divergence):
    generator = torch.Generator().manual_seed(0)
    settings = DistillSettings(1.0, divergence=divergence)
    logits, teacher = (torch.randn(6, 11, generator=generator, dtype=torch.float64) * 2 for _ in range(2))
    logits.requires_grad_()
    policy, other = logits.log_softmax(-1), teacher.log_softmax(-1)
    mixture = ((policy.exp() + other.exp()) / 2).log()

    def kl(one, two):
        return (one.exp() * (one - two)).sum(-1)

    whole = {
        "reverse_kl": kl(policy, other),
        "forward_kl": kl(other, policy),
        "jsd": (kl(policy, mixture) + kl(other, mixture)) / 2,
    }[divergence]
    found = token_divergence(policy, other, settings)
    assert found.tolist() == pytest.approx(whole.tolist(), abs=1e-6)
    expected, given = (torch.autograd.grad(value.sum(), logits, retain_graph=True)[0] for value in (whole, found))
    assert torch.allclose(expected, given, atol=1e-6)
    before = torch.zeros(6, dtype=torch.float64)
    for count in (1, 3, 7):
        places = other.topk(count).indices
        part = token_divergence(policy.gather(1, places), other.gather(1, places), settings).double()
        assert (part >= before - 1e-6).all() and (part <= whole + 1e-6).all()
        before = part


def test_what_the_listed_tokens_leave_is_never_nothing():
    assert with_rest(torch.tensor([[0.75]]).log()).exp().tolist() == [pytest.approx([0.75, 0.25])]
    assert with_rest(torch.tensor([[0.0, -1e-9]])).exp()[0, 2].item() == pytest.approx(REST)


def test_an_unknown_divergence_is_refused():
    with pytest.raises(ValueError, match="divergence=kl, accepted: reverse_kl, forward_kl, jsd"):
        token_divergence(torch.zeros(1, 1), torch.zeros(1, 1), DistillSettings(1.0, divergence="kl"))
