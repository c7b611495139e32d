import pytest
import torch
from transformers import MistralConfig, MistralForCausalLM

from mentor.errors import SamplerError
from mentor.sampling import SamplingParams, TransformersSampler
from mentor.sampling.hf_sampler import sample_tokens
from tests.fixtures.students import make_small_student

GREEDY = SamplingParams(max_tokens=12, temperature=0.0)


def drain(sampler):
    done = {}
    while sampler.busy:
        done.update({completion.session: completion for completion in sampler.step()})
    return done


def prompts(chat, count):
    return [chat.encode(f"<|im_start|>user\nWhat is {i} plus {'1' * (i % 7 + 1)}?<|im_end|>\n") for i in range(count)]


def recomputed(model, tokens, sampled):
    """Logprobs of the last `sampled` tokens by one plain forward without any cache."""
    with torch.no_grad():
        logits = model(input_ids=torch.tensor([tokens])).logits[0, :-1].float()
    logprobs = torch.log_softmax(logits, -1).gather(1, torch.tensor(tokens[1:])[:, None])[:, 0]
    return logprobs[-sampled:].tolist()


def test_greedy_tokens_are_those_of_generate(chat, student):
    sampler = TransformersSampler(student, chat.eos_id, max_running=4)
    texts = prompts(chat, 9)  # more than there are rows
    for i, ids in enumerate(texts):
        sampler.add_request(str(i), ids, GREEDY)
    done = {}
    while sampler.busy:
        for completion in sampler.step():
            done[completion.session] = completion
            sampler.end_session(completion.session)
    for i, ids in enumerate(texts):
        expected = student.generate(
            torch.tensor([ids]), max_new_tokens=12, do_sample=False, eos_token_id=chat.eos_id, pad_token_id=chat.pad_id
        )[0, len(ids) :].tolist()
        assert done[str(i)].token_ids == expected
        assert done[str(i)].stopped == (expected[-1] == chat.eos_id)


def test_logprobs_over_several_turns_equal_a_plain_forward(chat, student):
    sampler = TransformersSampler(student, chat.eos_id, max_running=8)
    tokens = {str(i): ids for i, ids in enumerate(prompts(chat, 6))}
    for turn in range(3):
        for name, ids in tokens.items():
            sampler.add_request(name, ids, SamplingParams(max_tokens=5 + int(name), seed=10 * turn + int(name)))
        for name, completion in drain(sampler).items():
            tokens[name] = tokens[name] + completion.token_ids
            expected = recomputed(student, tokens[name], len(completion.token_ids))
            assert completion.logprobs == pytest.approx(expected, abs=1e-4)
            tokens[name] = tokens[name] + chat.encode(f"\n<tool_response>\n{name * (turn + 3)}\n</tool_response>")


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


def test_a_request_samples_the_same_tokens_whoever_runs_beside_it(chat, student):
    ids = prompts(chat, 5)
    params = SamplingParams(max_tokens=10, seed=7)
    alone = TransformersSampler(student, chat.eos_id)
    alone.add_request("x", ids[3], params)
    crowd = TransformersSampler(student, chat.eos_id)
    for i in (0, 1, 2, 4):
        crowd.add_request(str(i), ids[i], SamplingParams(max_tokens=4 + 3 * i, seed=i))
    crowd.step()
    crowd.add_request("x", ids[3], params)
    assert drain(alone)["x"].token_ids == drain(crowd)["x"].token_ids


def test_a_session_waiting_for_its_tool_blocks_nobody(chat, student):
    sampler = TransformersSampler(student, chat.eos_id, max_running=4)
    first, second = prompts(chat, 2)
    sampler.add_request("waits", first, GREEDY)
    waiting = drain(sampler)["waits"]
    sampler.add_request("goes on", second, GREEDY)
    assert drain(sampler)["goes on"].token_ids
    reply = first + waiting.token_ids + chat.encode("\n19")
    sampler.add_request("waits", reply, GREEDY)
    back = drain(sampler)["waits"]
    assert back.logprobs == pytest.approx(recomputed(student, reply + back.token_ids, len(back.token_ids)), abs=1e-4)


def test_new_weights_drop_everything_cached(chat, student):
    sampler = TransformersSampler(student, chat.eos_id)
    ids = prompts(chat, 1)[0]
    sampler.add_request("s", ids, GREEDY)
    before = drain(sampler)["s"]
    other = make_small_student(chat, seed=1)
    sampler.load_weights(other.named_parameters())
    sampler.add_request("s", ids, GREEDY)
    after = drain(sampler)["s"]
    assert after.token_ids != before.token_ids
    assert after.logprobs == pytest.approx(recomputed(other, ids + after.token_ids, len(after.token_ids)), abs=1e-4)


def test_requests_that_make_no_sense_are_refused(chat, student):
    sampler = TransformersSampler(student, chat.eos_id)
    ids = prompts(chat, 1)[0]
    sampler.add_request("s", ids, GREEDY)
    with pytest.raises(SamplerError, match="already has a running request"):
        sampler.add_request("s", ids, GREEDY)
    with pytest.raises(SamplerError, match="while requests run"):
        sampler.load_weights([])
    drain(sampler)
    with pytest.raises(SamplerError, match="extends the tokens"):
        sampler.add_request("s", ids[:-2] + [0, 0, 0], GREEDY)
    with pytest.raises(SamplerError, match="max_tokens is 0"):
        sampler.add_request("t", ids, SamplingParams(max_tokens=0))


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
    # the nucleus of 0.6 is the first two tokens, 0.625 and 0.375 of it; the logprob stays that of the whole
    assert draw(0.62, top_p=0.6)[0] == 0
    assert draw(0.9, top_p=0.6) == (1, pytest.approx(0.3))
    assert draw(0.99, temperature=0.0) == (0, pytest.approx(0.5))


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


def test_a_session_is_not_ended_while_its_request_waits(chat, student):
    sampler = TransformersSampler(student, chat.eos_id)
    sampler.add_request("s", prompts(chat, 1)[0], GREEDY)
    with pytest.raises(SamplerError, match="ended while its request runs"):
        sampler.end_session("s")
    assert drain(sampler)["s"].token_ids


def test_a_sliding_window_is_refused():
    config = MistralConfig(
        vocab_size=64, hidden_size=8, intermediate_size=8, num_hidden_layers=1, num_attention_heads=2,
        num_key_value_heads=2, sliding_window=4,
    )  # fmt: skip
    with pytest.raises(SamplerError, match="full attention only"):
        TransformersSampler(MistralForCausalLM(config), eos_id=0)
