"""What is the embedded sampler's own: its rows, its prefill and its inversion of the distribution."""

import pytest
import torch
from transformers import MistralConfig, MistralForCausalLM

from mentor.errors import SamplerError
from mentor.sampling import SamplingParams, TransformersSampler
from mentor.sampling.transformers_sampler import sample_tokens
from tests.fixtures.samplers import drain, prompts, recomputed


def test_equal_prompts_are_prefilled_once_and_still_sampled_apart(chat, student):
    sampler = TransformersSampler(student, chat.eos_id, max_running=16)
    ids = prompts(chat, 1)[0]
    fed = []
    forward = sampler._forward
    sampler._forward = lambda token_ids, *rest: fed.append(token_ids.shape) or forward(token_ids, *rest)
    for i in range(16):
        sampler.add_request(str(i), ids, SamplingParams(max_tokens=6, seed=i))
    done = drain(sampler)
    assert fed[0] == (1, len(ids))
    assert len({tuple(completion.token_ids) for completion in done.values()}) > 4
    for completion in done.values():
        expected = recomputed(student, ids + completion.token_ids, len(completion.token_ids))
        assert completion.logprobs == pytest.approx(expected, abs=1e-4)


LOGITS = torch.log(torch.tensor([[0.5, 0.3, 0.2]]))


def draw(uniform, temperature=1.0, top_p=1.0):
    token, logprob = sample_tokens(
        LOGITS, torch.tensor([temperature]), torch.tensor([top_p]), torch.tensor([uniform], dtype=torch.float64)
    )
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


def test_sessions_that_hold_every_row_without_a_request_make_way_and_come_back(chat, student):
    sampler = TransformersSampler(student, chat.eos_id, max_running=2)
    tokens = {str(i): ids for i, ids in enumerate(prompts(chat, 5))}
    for turn in range(2):
        for name, ids in tokens.items():
            sampler.add_request(name, ids, SamplingParams(max_tokens=4, seed=10 * turn + int(name)))
        done = {}
        for _ in range(60):
            done.update({completion.session: completion for completion in sampler.step()})
        assert not sampler.busy and sorted(done) == sorted(tokens)
        for name, completion in done.items():
            tokens[name] = tokens[name] + completion.token_ids
            expected = recomputed(student, tokens[name], len(completion.token_ids))
            assert completion.logprobs == pytest.approx(expected, abs=1e-4)
            tokens[name] = tokens[name] + chat.encode("\n19")


def test_a_sliding_window_is_refused():
    config = MistralConfig(
        vocab_size=64, hidden_size=8, intermediate_size=8, num_hidden_layers=1, num_attention_heads=2,
        num_key_value_heads=2, sliding_window=4,
    )  # fmt: skip
    with pytest.raises(SamplerError, match="full attention only"):
        TransformersSampler(MistralForCausalLM(config), eos_id=0)
