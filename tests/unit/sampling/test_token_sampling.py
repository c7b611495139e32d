import pytest
import torch

from mentor.sampling import token_sampling
from mentor.sampling.token_sampling import sample_tokens

LOGITS = torch.log(torch.tensor([[0.5, 0.3, 0.2]]))


def draw(uniform, temperature=1.0, top_p=1.0, top_k=3, logits=LOGITS):
    settings = torch.tensor([temperature]), torch.tensor([top_p]), torch.tensor([top_k])
    token, logprob = sample_tokens(logits, *settings, torch.tensor([uniform], dtype=torch.float64))
    return token.item(), logprob.exp().item()


def test_sampling_inverts_the_cumulative_distribution():
    assert [draw(u)[0] for u in (0.0, 0.49, 0.51, 0.79, 0.81, 0.999999)] == [0, 0, 1, 1, 2, 2]
    assert draw(0.6)[1] == pytest.approx(0.3)


def test_temperature_top_p_and_greedy():
    # at temperature 0.5 the probabilities are squared: 0.25, 0.09, 0.04 over 0.38
    assert draw(0.64, temperature=0.5)[0] == 0
    assert draw(0.67, temperature=0.5) == (1, pytest.approx(0.09 / 0.38))
    # the nucleus of 0.6 is the first two tokens, 0.625 and 0.375 of it
    assert draw(0.62, top_p=0.6)[0] == 0
    assert draw(0.9, top_p=0.6) == (1, pytest.approx(0.375))
    assert draw(0.99, temperature=0.0) == (0, pytest.approx(0.5))
    assert draw(0.99, temperature=0.0, top_p=0.6) == (0, pytest.approx(0.5))


def test_top_k_comes_before_top_p():
    # of the two most likely, 5/8 and 3/8, the first alone has more than 0.6; of all three it has 0.5
    assert draw(0.62, top_k=2) == (0, pytest.approx(5 / 8))
    assert draw(0.99, top_k=2) == (1, pytest.approx(3 / 8))
    assert draw(0.99, top_k=2, top_p=0.6) == (0, pytest.approx(1.0))
    assert draw(0.99, top_p=0.6) == (1, pytest.approx(0.375))
    # at temperature 0.5: 25 and 9 over 34
    assert draw(0.99, temperature=0.5, top_k=2) == (1, pytest.approx(9 / 34))
    assert draw(0.99, temperature=0.0, top_k=1) == (0, pytest.approx(0.5))
    tied = torch.log(torch.tensor([[0.2, 0.3, 0.3, 0.2]]))
    assert draw(0.6, top_k=1, logits=tied) == (2, pytest.approx(0.5)) and draw(0.4, top_k=1, logits=tied)[0] == 1
    assert [draw(0.99, top_k=k)[0] for k in (1, 2, 3, 9)] == [0, 1, 2, 2]


def test_each_row_has_its_own_settings():
    logits = LOGITS.repeat(3, 1)
    tokens, logprobs = sample_tokens(
        logits,
        torch.tensor([1.0, 0.0, 0.5]),
        torch.tensor([1.0, 1.0, 0.5]),
        torch.tensor([3, 3, 3]),
        torch.tensor([0.9, 0.9, 0.9], dtype=torch.float64),
    )
    limits = torch.tensor([1, 2, 3])
    tokens_of_top_k, _ = sample_tokens(logits, torch.ones(3), torch.ones(3), limits, torch.full((3,), 0.99).double())
    assert tokens_of_top_k.tolist() == [0, 1, 2]
    assert tokens.tolist() == [2, 0, 0]  # the last: at temperature 0.5 the first token alone has more than 0.5
    assert logprobs.exp().tolist() == pytest.approx([0.2, 0.5, 1.0])


def sampled_whole(logits, temperature, top_p, top_k, uniform):
    """One row in float64, with sorting and summing over the whole vocabulary."""
    if temperature == 0:
        token = int(logits.argmax())
        return token, torch.log_softmax(logits.double(), -1)[token].item()
    kept = logits.where(logits >= logits.sort(descending=True).values[min(top_k, len(logits)) - 1], -torch.inf)
    probs = torch.softmax((kept / temperature).double(), -1)
    ordered, index = probs.sort(descending=True)
    probs[index[ordered.cumsum(-1) - ordered >= top_p]] = 0.0 if top_p < 1 else probs.min()
    cumulative = probs.cumsum(-1)
    token = int((cumulative > uniform * cumulative[-1]).int().argmax())
    return token, (probs[token] / cumulative[-1]).log().item()


@pytest.mark.parametrize("spread", [0.5, 6.0])
def test_a_large_vocabulary_in_parts_is_sampled_as_a_whole_one(monkeypatch, spread):
    """Parts of three rows; nuclei of a few tokens, and of more than are looked at first."""
    monkeypatch.setitem(token_sampling.PART_ELEMENTS, "cpu", 3 * 20_000)
    torch.manual_seed(0)
    rows = 16
    logits = spread * torch.randn(rows, 20_000)
    temperature = torch.tensor([1.0, 0.0, 0.7, 1.3]).repeat(4)
    top_p = torch.tensor([1.0, 0.9]).repeat_interleave(4).repeat(2)
    top_k = torch.tensor([20_000, 50]).repeat_interleave(8)
    uniforms = torch.rand(rows, dtype=torch.float64)
    tokens, logprobs = sample_tokens(logits, temperature, top_p, top_k, uniforms)
    settings = zip(*(each.tolist() for each in (temperature, top_p, top_k, uniforms)), strict=True)
    expected = [sampled_whole(row, *own) for row, own in zip(logits, settings, strict=True)]
    assert tokens.tolist() == [token for token, _ in expected]
    assert logprobs.tolist() == pytest.approx([logprob for _, logprob in expected], abs=2e-6)


def test_logprobs_do_not_have_the_rounding_of_a_sum_over_the_vocabulary():
    """One likely token among 150,000: a float32 sum of the others alone is off by 5e-5."""
    torch.manual_seed(0)
    logits = 3 * torch.randn(1, 150_000)
    logits[0, 100] += 12
    exact = torch.softmax(logits.double(), -1)
    token = int((exact.cumsum(-1) > 0.5).int().argmax())
    settings = torch.ones(1), torch.ones(1), torch.tensor([150_000]), torch.tensor([0.5], dtype=torch.float64)
    drawn, found = sample_tokens(logits, *settings)
    assert drawn.item() == token and found.item() == pytest.approx(exact[0, token].log().item(), abs=2e-6)


def test_a_row_without_a_nucleus_is_drawn_alike_beside_one_that_has_one():
    logits = torch.log(torch.tensor([[1 - 2e-6, 1e-6, 1e-6]])).repeat(2, 1)
    uniforms = torch.full((2,), 1 - 1e-7, dtype=torch.float64)
    tokens, _ = sample_tokens(logits, torch.ones(2), torch.tensor([1.0, 0.5]), torch.tensor([3, 3]), uniforms)
    assert tokens.tolist() == [2, 0]
