"""The chunked head against the plain one: values, gradients, and memory that does not grow with the vocabulary."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from mentor.policy.lm_head import MostLikely, Truncation, embedded, kept_tokens, most_likely_tokens, token_logprobs

TOKENS, WIDTH, VOCABULARY = 37, 16, 53


def inputs(dtype=torch.float32):
    generator = torch.Generator().manual_seed(0)
    hidden = torch.randn(TOKENS, WIDTH, generator=generator, dtype=dtype).requires_grad_()
    weight = torch.randn(VOCABULARY, WIDTH, generator=generator, dtype=dtype).requires_grad_()
    targets = torch.randint(VOCABULARY, (TOKENS,), generator=generator)
    upstream = torch.randn(2, TOKENS, generator=generator)
    return hidden, weight, targets, upstream


def plain(hidden, weight, targets, temperature):
    logs = torch.log_softmax(hidden @ weight.T / temperature, -1)
    return logs.gather(1, targets[:, None])[:, 0], -(logs.exp() * logs).sum(-1)


def test_two_tokens_by_hand():
    # logits (log 3, 0) and temperature 1: p = (3/4, 1/4)
    hidden = torch.tensor([[3.0]]).log()
    weight = torch.tensor([[1.0], [0.0]])
    logprobs, entropies = token_logprobs(hidden, weight, torch.tensor([1]))
    assert logprobs.item() == pytest.approx(-1.386294, abs=1e-6)  # log 1/4
    assert entropies.item() == pytest.approx(0.562335, abs=1e-6)  # -3/4 log 3/4 - 1/4 log 1/4


@pytest.mark.parametrize("chunk_elements", [1, VOCABULARY * 5, 10**6])
@pytest.mark.parametrize("temperature", [1.0, 0.7])
@pytest.mark.parametrize("with_entropy", [False, True])
@pytest.mark.parametrize("into_grad", [False, True])
def test_values_and_gradients_are_those_of_whole_logits(chunk_elements, temperature, with_entropy, into_grad):
    results = []
    for function in (
        lambda h, w, t: plain(h, w, t, temperature),
        lambda h, w, t: token_logprobs(h, w, t, temperature, chunk_elements=chunk_elements, into_grad=into_grad),
    ):
        hidden, weight, targets, upstream = inputs()
        logprobs, entropies = function(hidden, weight, targets)
        loss = (logprobs * upstream[0]).sum()
        if with_entropy:
            loss = loss + (entropies * upstream[1]).sum()
        loss.backward()
        results.append((logprobs.detach(), entropies.detach(), hidden.grad, weight.grad))
    for one, other in zip(*results, strict=True):
        assert torch.allclose(one, other, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("chunk_elements", [1, VOCABULARY * 5, 10**6])
@pytest.mark.parametrize("into_grad", [False, True])
def test_values_and_gradients_among_kept_tokens_are_those_of_the_other_logits_left_out(chunk_elements, into_grad):
    kept = torch.randint(VOCABULARY, (TOKENS, 6), generator=torch.Generator().manual_seed(1), dtype=torch.int32)

    def masked(hidden, weight, targets):
        logits = hidden @ weight.T / 0.7
        among = (
            torch.zeros_like(logits, dtype=torch.bool).scatter(1, kept.long(), True).scatter(1, targets[:, None], True)
        )
        logs = torch.log_softmax(logits.masked_fill(~among, float("-inf")), -1)
        return logs.gather(1, targets[:, None])[:, 0], -(logs.exp() * logs.masked_fill(~among, 0.0)).sum(-1)

    def chunked(hidden, weight, targets):
        return token_logprobs(
            hidden, weight, targets, 0.7, chunk_elements=chunk_elements, into_grad=into_grad, kept=kept
        )

    results = []
    for function in (masked, chunked):
        hidden, weight, targets, upstream = inputs()
        logprobs, entropies = function(hidden, weight, targets)
        ((logprobs * upstream[0]).sum() + (entropies * upstream[1]).sum()).backward()
        results.append((logprobs.detach(), entropies.detach(), hidden.grad, weight.grad))
    for one, other in zip(*results, strict=True):
        assert torch.allclose(one, other, rtol=1e-5, atol=1e-5)


def test_kept_tokens_by_hand():
    # p = 0.4, 0.3, 0.2, 0.1: of the three most likely (4, 3, 2 of 9) the first two have 0.7 and more
    hidden, weight = torch.ones(3, 1), torch.tensor([[0.4], [0.3], [0.2], [0.1]]).log()
    targets = torch.tensor([0, 1, 3])
    found = kept_tokens(hidden, weight, targets, Truncation(3, 0.7), chunk_elements=8)
    assert found.tolist() == [[0, 1, 0], [0, 1, 1], [0, 1, 3]] and found.dtype == torch.int32
    assert kept_tokens(hidden, weight, targets, Truncation(2)).tolist() == [[0, 1]] * 3
    # at temperature 0.5 the first of 16, 9 and 4 has 0.55; there are no more than four tokens
    assert kept_tokens(hidden, weight, targets, Truncation(3, 0.5), temperature=0.5)[:, 1].tolist() == [0, 1, 3]
    assert kept_tokens(hidden, weight, targets, Truncation(6)).tolist() == [[0, 1, 2, 3, t, t] for t in (0, 1, 3)]
    logprobs, _ = token_logprobs(hidden, weight, targets, kept=found)
    assert logprobs.exp().tolist() == pytest.approx([4 / 7, 3 / 7, 1 / 8])


@pytest.mark.parametrize("chunk_elements", [1, VOCABULARY * 5, 10**6])
@pytest.mark.parametrize("into_grad", [False, True])
@pytest.mark.parametrize("with_entropy", [False, True])
def test_several_targets_of_a_distribution_have_the_values_and_gradients_of_whole_logits(
    chunk_elements, into_grad, with_entropy
):
    targets = torch.randint(VOCABULARY, (TOKENS, 4), generator=torch.Generator().manual_seed(1))
    targets[:, 3] = targets[:, 0]  # a token may be wanted twice
    upstream = torch.randn(TOKENS, 4, generator=torch.Generator().manual_seed(2))

    def whole(hidden, weight, _):
        logs = torch.log_softmax(hidden @ weight.T / 0.7, -1)
        return logs.gather(1, targets), -(logs.exp() * logs).sum(-1)

    def chunked(hidden, weight, _):
        return token_logprobs(hidden, weight, targets, 0.7, chunk_elements=chunk_elements, into_grad=into_grad)

    results = []
    for function in (whole, chunked):
        hidden, weight, _, other = inputs()
        logprobs, entropies = function(hidden, weight, None)
        ((logprobs * upstream).sum() + with_entropy * (entropies * other[1]).sum()).backward()
        results.append((logprobs.detach(), entropies.detach(), hidden.grad, weight.grad))
    for one, other in zip(*results, strict=True):
        assert torch.allclose(one, other, rtol=1e-5, atol=1e-5)


def test_the_most_likely_tokens_come_first_and_rows_beyond_the_words_not():
    hidden, weight = torch.tensor([[1.0], [-1.0]]), torch.tensor([[0.4], [0.1], [0.3], [0.9]])
    found = most_likely_tokens(hidden, weight, MostLikely(2, 3), chunk_elements=4)
    assert found.tolist() == [[0, 2], [1, 2]] and found.dtype == torch.int32
    assert most_likely_tokens(hidden, weight, MostLikely(9, 4)).tolist() == [[3, 0, 2, 1], [1, 2, 0, 3]]


def test_entropies_that_nothing_reads_are_not_computed():
    results = []
    for with_entropies in (True, False):
        hidden, weight, targets, upstream = inputs()
        logprobs, entropies = token_logprobs(hidden, weight, targets, with_entropies=with_entropies)
        (logprobs * upstream[0]).sum().backward()
        assert (entropies is not None) == with_entropies
        results.append((logprobs, hidden.grad, weight.grad))
    assert all(torch.equal(one, other) for one, other in zip(*results, strict=True))


def test_a_loss_on_entropy_alone_has_its_gradient():
    grads = []
    for function in (lambda h, w, t: plain(h, w, t, 1.0), token_logprobs):
        hidden, weight, targets, _ = inputs()
        function(hidden, weight, targets)[1].sum().backward()
        grads.append((hidden.grad, weight.grad))
    assert all(torch.allclose(one, other, atol=1e-5) for one, other in zip(*grads, strict=True))


def test_gradients_of_several_parts_add_up_in_place():
    hidden, weight, targets, _ = inputs()
    for part in (slice(0, 20), slice(20, None)):
        token_logprobs(hidden[part], weight, targets[part], into_grad=True)[0].sum().backward()
    whole_hidden, whole_weight, _, _ = inputs()
    plain(whole_hidden, whole_weight, targets, 1.0)[0].sum().backward()
    assert torch.allclose(weight.grad, whole_weight.grad, atol=1e-5)


def test_logits_of_bfloat16_numbers_are_not_rounded():
    """Near 30, bfloat16 has steps of 0.125: rounded logits move logprobs by some hundredths."""
    hidden, weight, targets, upstream = inputs(torch.bfloat16)
    with torch.no_grad():
        weight *= 6
    ours = token_logprobs(hidden, weight, targets, dtype=torch.bfloat16)[0]
    (ours * upstream[0]).sum().backward()
    exact_hidden, exact_weight = (tensor.detach().double().requires_grad_() for tensor in (hidden, weight))
    exact = plain(exact_hidden, exact_weight, targets, 1.0)[0]
    (exact * upstream[0]).sum().backward()
    assert float((exact_hidden @ exact_weight.T).detach().abs().max()) > 30
    assert torch.allclose(ours.detach().double(), exact.detach(), atol=1e-4)
    for grad, exact_grad in ((hidden.grad, exact_hidden.grad), (weight.grad, exact_weight.grad)):
        assert grad.dtype == torch.bfloat16 and torch.allclose(grad.double(), exact_grad, rtol=2**-8, atol=1e-3)


@pytest.mark.parametrize("padding", [None, 4])
def test_the_embedding_sums_its_gradient_up_in_place(padding):
    ids = torch.tensor([[1, 1, 4], [0, 4, 1]])
    layer = torch.nn.Embedding(7, 3, padding_idx=padding)
    (embedded(ids, layer) * torch.arange(6.0).view(2, 3, 1)).sum().backward()
    assert layer.weight.grad[:, 0].tolist() == [3.0, 0 + 1 + 5, 0, 0, 0 if padding else 2 + 4, 0, 0]
    again = torch.nn.Embedding.from_pretrained(layer.weight.detach(), freeze=False, padding_idx=padding)
    (again(ids) * torch.arange(6.0).view(2, 3, 1)).sum().backward()
    assert torch.equal(layer.weight.grad, again.weight.grad)


@pytest.mark.slow
def test_memory_of_an_update_does_not_grow_with_the_vocabulary():
    """Peak beyond weights, gradients and optimiser states, with 151,669 tokens of vocabulary and with 8,192."""
    script = Path(__file__).parents[2] / "fixtures" / "update_memory.py"
    environment = {**os.environ, "MALLOC_MMAP_THRESHOLD_": "65536", "MALLOC_TRIM_THRESHOLD_": "65536"}
    small, large = (
        float(subprocess.check_output([sys.executable, script, vocabulary, "1024"], env=environment, text=True))
        for vocabulary in ("8192", "151669")
    )
    assert large <= 1.3 * small, f"{large:.0f} MiB against {small:.0f} MiB"
