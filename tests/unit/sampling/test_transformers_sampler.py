"""What the embedded sampler adds to the interface (test_sampler.py): slots of its KV cache and shared prefills."""

import pytest
import torch

from mentor.errors import SamplerError
from mentor.sampling import SamplingParams, TransformersSampler
from tests.fixtures.families import ATTENDING, make_family
from tests.fixtures.samplers import drain, prompts, recomputed


def test_equal_prompts_are_prefilled_once_and_still_sampled_apart(chat, student):
    sampler = TransformersSampler(student, chat.end_ids, max_running=16)
    ids = prompts(chat, 1)[0]
    fed = []
    prefill = sampler._forward.prefill
    sampler._forward.prefill = lambda rows: fed.append([list(row.token_ids) for row in rows]) or prefill(rows)
    for i in range(16):
        sampler.add_request(str(i), ids, SamplingParams(max_tokens=6, seed=i))
    done = drain(sampler)
    assert fed == [[ids]]
    assert len({tuple(completion.token_ids) for completion in done.values()}) > 4
    for completion in done.values():
        expected = recomputed(student, ids + completion.token_ids, len(completion.token_ids))
        assert completion.logprobs == pytest.approx(expected, abs=1e-4)


def test_sessions_that_hold_every_slot_without_a_request_lose_them_and_are_prefilled_again(chat, student):
    sampler = TransformersSampler(student, chat.end_ids, max_running=2)
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


@pytest.mark.parametrize("name", ATTENDING)
def test_windows_caps_and_sinks_are_those_of_the_model_itself(chat, name):
    """Turns longer than the window, more sessions than slots."""
    model = make_family(name, vocab_size=len(chat.tokenizer))
    sampler = TransformersSampler(model, chat.end_ids, max_running=2)
    tokens = {str(i): ids for i, ids in enumerate(prompts(chat, 3))}
    for turn in range(2):
        for session, ids in tokens.items():
            sampler.add_request(session, ids, SamplingParams(max_tokens=3 + int(session), seed=turn))
        for session, completion in drain(sampler).items():
            tokens[session] = tokens[session] + completion.token_ids
            count = len(completion.token_ids)
            assert completion.logprobs == pytest.approx(recomputed(model, tokens[session], count), abs=1e-4)
            assert sampler.logprobs(tokens[session], count, 1.0) == pytest.approx(completion.logprobs, abs=1e-4)
            tokens[session] = tokens[session] + chat.encode("\n19")


@pytest.mark.parametrize("name, kind", [("lfm2", "conv"), ("qwen3.5", "linear_attention")])
def test_layers_with_state_are_refused_and_vllm_is_named(chat, name, kind):
    with pytest.raises(SamplerError, match=f"this model has layers of {kind}: choose sampler=vllm$"):
        TransformersSampler(make_family(name), chat.end_ids)


def test_a_turn_in_the_middle_of_a_decode_finds_its_slot_again(chat, student):
    """Slots move as sessions finish: one that comes back is prefilled from its first new token on."""
    sampler = TransformersSampler(student, chat.end_ids, max_running=4)
    ids = prompts(chat, 3)
    for i, prompt in enumerate(ids):
        sampler.add_request(str(i), prompt, SamplingParams(max_tokens=2 + 4 * i, temperature=0.0))
    done = {}
    while "0" not in done:
        done |= {completion.session: completion for completion in sampler.step()}
    again = ids[0] + done["0"].token_ids + chat.encode("7")
    sampler.add_request("0", again, SamplingParams(max_tokens=3, temperature=0.0))
    done = drain(sampler)
    assert sorted(done) == ["0", "1", "2"]
    for name, start in (("0", again), ("1", ids[1]), ("2", ids[2])):
        expected = recomputed(student, start + done[name].token_ids, len(done[name].token_ids))
        assert done[name].logprobs == pytest.approx(expected, abs=1e-4)
    sampler.end_session("0")
    assert [owner is None for owner in sampler._owner].count(True) == 2


def test_weights_of_another_model_are_refused(chat, student):
    sampler = TransformersSampler(student, chat.end_ids)
    with pytest.raises(SamplerError, match="weight model.nothing is not one of the sampler's model"):
        sampler.load_weights([("model.nothing", torch.zeros(1))])


def test_logits_of_a_bfloat16_model_are_products_in_float32(chat, student):
    sampler = TransformersSampler(student, chat.end_ids, dtype=torch.bfloat16)
    ids, count = prompts(chat, 1)[0], 8
    with torch.no_grad(), torch.autocast("cpu", torch.bfloat16):
        hidden = student.get_decoder()(input_ids=torch.tensor([ids])).last_hidden_state[0, -count - 1 : -1]
    weight = student.get_output_embeddings().weight.detach()
    logits = hidden.bfloat16().double() @ weight.bfloat16().double().T
    exact = torch.log_softmax(logits, -1).gather(1, torch.tensor(ids[-count:])[:, None])[:, 0]
    assert sampler.logprobs(ids, count, 1.0) == pytest.approx(exact.tolist(), abs=1e-4)
