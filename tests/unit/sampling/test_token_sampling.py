import pytest
import torch

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
