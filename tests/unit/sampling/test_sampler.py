"""One contract for every sampler: what the environment and the training loop rely on."""

import copy
from collections import Counter

import pytest
import torch

from mentor.algorithm.loss import LossSettings
from mentor.chat import ChatFormat
from mentor.environment import Environment, RolloutLimits, RolloutRequest
from mentor.errors import SamplerError
from mentor.rl.update import make_loss_function
from mentor.sampling import SamplingParams, build_sampler
from mentor.tools import Toolbox, Toolset
from mentor.types import StopReason, Trajectory
from tests.fixtures.foreign_ends import OTHER, SAID, foreign_chat, foreign_lesson, teach
from tests.fixtures.policies import make_policy, policy_batch
from tests.fixtures.rollouts import make_task
from tests.fixtures.samplers import KINDS, drain, open_pair, plain_logits, prompts, recomputed
from tests.fixtures.students import make_wide_student

GREEDY = SamplingParams(max_tokens=12, temperature=0.0)


@pytest.fixture(scope="module", params=KINDS)
def opened(request, chat, tmp_path_factory):
    with open_pair(request.param, chat, tmp_path_factory.mktemp("student")) as pair:
        yield pair


@pytest.fixture
def pair(opened):
    return opened.reset()


def ask(sampler, session, ids, params=GREEDY):
    """One request on its own."""
    sampler.add_request(session, ids, params)
    return drain(sampler)[session]


def test_greedy_tokens_are_those_of_generate(chat, pair):
    texts = prompts(chat, 9)  # more than run at once
    for i, ids in enumerate(texts):
        pair.sampler.add_request(str(i), ids, GREEDY)
    done = {}
    while pair.sampler.busy:
        for completion in pair.sampler.step():
            done[completion.session] = completion
            pair.sampler.end_session(completion.session)
    for i, ids in enumerate(texts):
        expected = pair.model.generate(
            torch.tensor([ids]), max_new_tokens=12, do_sample=False, eos_token_id=chat.eos_id, pad_token_id=chat.pad_id
        )[0, len(ids) :].tolist()
        assert done[str(i)].token_ids == expected
        assert done[str(i)].logprobs == pytest.approx(recomputed(pair.model, ids + expected, len(expected)), abs=1e-3)


def test_logprobs_over_several_turns_equal_a_plain_forward(chat, pair):
    tokens = {str(i): ids for i, ids in enumerate(prompts(chat, 6))}
    for turn in range(3):
        for name, ids in tokens.items():
            params = SamplingParams(max_tokens=5 + int(name), seed=10 * turn + int(name))
            pair.sampler.add_request(name, ids, params)
        for name, completion in drain(pair.sampler).items():
            tokens[name] = tokens[name] + completion.token_ids
            expected = recomputed(pair.model, tokens[name], len(completion.token_ids))
            assert completion.logprobs == pytest.approx(expected, abs=1e-3)
            tokens[name] = tokens[name] + chat.encode(f"\n<tool_response>\n{name * (turn + 3)}\n</tool_response>")


def test_a_prompt_may_drop_or_change_tokens_of_the_turns_before(chat, pair):
    names = [str(i) for i in range(6)]
    texts = dict(zip(names, prompts(chat, 6), strict=True))
    for turn in range(4):
        for name, ids in texts.items():
            pair.sampler.add_request(name, ids, SamplingParams(max_tokens=9, seed=10 * turn + int(name)))
        for name, done in drain(pair.sampler).items():
            expected = recomputed(pair.model, texts[name] + done.token_ids, len(done.token_ids))
            assert done.logprobs == pytest.approx(expected, abs=1e-3)
            before, turn_ids = texts[name], done.token_ids
            texts[name] = {
                "0": before + turn_ids[4:] + [7, 8],  # the start of the turn left out
                "1": before[:-3] + turn_ids + [7],
                "2": before + turn_ids,
                "3": before,  # the same prompt once more
                "4": before[:5],
                "5": before[3:],
            }[name]


def test_a_turn_ends_with_any_end_token_or_without_room(chat, pair):
    ids = prompts(chat, 1)[0]
    whole = ask(pair.sampler, "whole", ids)
    assert len(whole.token_ids) == 12 and not whole.stopped
    end = whole.token_ids[3]
    first = whole.token_ids.index(end) + 1
    pair.sampler.end_ids = (chat.eos_id, end)
    try:
        cut = ask(pair.sampler, "cut", ids)
        short = ask(pair.sampler, "short", ids, SamplingParams(max_tokens=first - 1 or 1, temperature=0.0))
    finally:
        pair.sampler.end_ids = chat.end_ids
    assert (cut.token_ids, cut.stopped) == (whole.token_ids[:first], True)
    assert len(cut.logprobs) == first
    assert short.stopped == (first == 1)


def test_a_student_that_ends_its_turns_otherwise_stops_there_and_is_trained_on_it(chat, pair):
    other = foreign_chat(chat)
    lesson = foreign_lesson(other)
    policy = make_policy(copy.deepcopy(pair.model), other)
    teach(policy, lesson, other.pad_id)
    pair.sampler.load_weights(policy.weights())

    def roll_out(one: ChatFormat) -> Trajectory:
        pair.sampler.end_ids = one.end_ids
        limits = RolloutLimits(max_turn_tokens=60, max_tokens=256)
        with Environment(pair.sampler, Toolbox(Toolset.builtin("calculator")), one, limits) as environment:
            return environment.rollout([RolloutRequest(make_task(), seed=0, temperature=0.0)])[0]

    try:
        played, cut = roll_out(other), roll_out(chat)
    finally:
        pair.sampler.end_ids = chat.end_ids
    assert (played.stop_reason, played.final_text) == (StopReason.ANSWERED, "The answer is \\boxed{5}.")
    assert (played.tokens.token_ids, played.tokens.loss_mask) == (lesson.token_ids, lesson.loss_mask)
    assert played.response.startswith(f"{SAID[0]}<|im_end|>\n<|im_start|>user\n<tool_response>\n5\n</tool_response>")
    assert cut.stop_reason is StopReason.LENGTH, "where no file names its end, it goes on"

    length = len(lesson) - 1
    own = dict(enumerate(recomputed(policy.model, lesson.token_ids, length), start=1))
    assert all(own[i] == pytest.approx(played.tokens.logprobs[i], abs=1e-3) for i in own if lesson.loss_mask[i])
    ends = [i for i, token in enumerate(lesson.token_ids) if lesson.loss_mask[i] and token in chat.encode(OTHER)]
    assert len(ends) == 2
    worse = policy_batch([played.tokens], [-1.0], other.pad_id)
    make_policy(policy.model, other).update(worse, make_loss_function(LossSettings(0.2, 0.28)))
    after = dict(enumerate(recomputed(policy.model, lesson.token_ids, length), start=1))
    assert all(after[i] < own[i] for i in ends), "an end that was sampled is trained on as any token"


def test_a_session_waiting_for_its_tool_blocks_no_other(chat, pair):
    first, second = prompts(chat, 2)
    waiting = ask(pair.sampler, "waits", first)
    assert ask(pair.sampler, "continues", second).token_ids
    reply = first + waiting.token_ids + chat.encode("\n19")
    back = ask(pair.sampler, "waits", reply)
    expected = recomputed(pair.model, reply + back.token_ids, len(back.token_ids))
    assert back.logprobs == pytest.approx(expected, abs=1e-3)


def test_a_request_that_arrives_while_others_run_is_served_beside_them(chat, pair):
    first, second = prompts(chat, 2)
    pair.sampler.add_request("long", first, SamplingParams(max_tokens=60, temperature=0.0))
    pair.sampler.step()
    pair.sampler.add_request("short", second, SamplingParams(max_tokens=3, temperature=0.0))
    order = []
    while pair.sampler.busy:
        order += [completion.session for completion in pair.sampler.step()]
    assert order == ["short", "long"]


def test_a_request_samples_the_same_tokens_whatever_runs_beside_it(chat, pair):
    ids = prompts(chat, 5)
    params = SamplingParams(max_tokens=10, seed=2**62 + 7)
    alone = ask(pair.sampler, "alone", ids[3], params)
    for i in (0, 1, 2, 4):
        pair.sampler.add_request(str(i), ids[i], SamplingParams(max_tokens=4 + 3 * i, seed=i))
    pair.sampler.step()
    pair.sampler.add_request("crowd", ids[3], params)
    assert drain(pair.sampler)["crowd"].token_ids == alone.token_ids


def test_equal_prompts_are_sampled_apart(chat, pair):
    ids = prompts(chat, 1)[0]
    for i in range(16):
        pair.sampler.add_request(str(i), ids, SamplingParams(max_tokens=6, seed=i))
    done = drain(pair.sampler)
    assert len({tuple(completion.token_ids) for completion in done.values()}) > 4
    for completion in done.values():
        expected = recomputed(pair.model, ids + completion.token_ids, len(completion.token_ids))
        assert completion.logprobs == pytest.approx(expected, abs=1e-3)


def test_sampling_leaves_the_random_numbers_of_the_process_alone(chat, pair):
    before = torch.get_rng_state()
    ask(pair.sampler, "s", prompts(chat, 1)[0], SamplingParams(max_tokens=6, seed=1))
    assert torch.equal(torch.get_rng_state(), before)


def test_tokens_come_as_often_as_the_temperature_says(chat, pair):
    """The first token of 240 requests: no count is further from its expectation than chance allows."""
    ids, temperature, draws = prompts(chat, 1)[0], 0.5, 240
    probs = torch.softmax(plain_logits(pair.model, [*ids, 0], 1)[0] / temperature, -1)
    for seed in range(draws):
        pair.sampler.add_request(str(seed), ids, SamplingParams(1, temperature, seed=seed))
    counts = Counter(completion.token_ids[0] for completion in drain(pair.sampler).values())
    likely = torch.topk(probs, 3)
    for token, probability in zip(likely.indices.tolist(), likely.values.tolist(), strict=True):
        deviation = (draws * probability * (1 - probability)) ** 0.5
        assert abs(counts[token] - draws * probability) < 4 * deviation + 1


@pytest.mark.parametrize("temperature", [0.5, 1.3])
def test_logprobs_are_those_at_the_temperature(chat, pair, temperature):
    ids = prompts(chat, 1)[0]
    done = ask(pair.sampler, "s", ids, SamplingParams(10, temperature, seed=3))
    expected = recomputed(pair.model, ids + done.token_ids, len(done.token_ids), temperature)
    assert done.logprobs == pytest.approx(expected, abs=1e-3)


@pytest.mark.parametrize(("top_p", "top_k"), [(0.7, None), (1.0, 5), (0.7, 5)])
def test_logprobs_are_those_among_what_top_k_and_top_p_leave(chat, pair, top_p, top_k):
    ids, temperature = prompts(chat, 1)[0], 1.2
    pair.sampler.add_request("greedy beside it", ids, SamplingParams(10, 0.0, top_p, top_k=top_k))
    pair.sampler.add_request("s", ids, SamplingParams(10, temperature, top_p, seed=3, top_k=top_k))
    done = drain(pair.sampler)
    logits = plain_logits(pair.model, ids + done["s"].token_ids, 10) / temperature
    probs, order = torch.softmax(logits, -1).sort(descending=True)
    probs = probs[:, :top_k] / probs[:, :top_k].sum(-1, keepdim=True)
    order = order[:, :top_k]
    kept = probs.where(probs.cumsum(-1) - probs < top_p, 0.0)
    kept = (kept / kept.sum(-1, keepdim=True)).log()
    place = (order == torch.tensor(done["s"].token_ids)[:, None]).int().argmax(-1)
    assert done["s"].logprobs == pytest.approx(kept.gather(1, place[:, None])[:, 0].tolist(), abs=1e-3)
    greedy = done["greedy beside it"]
    expected = recomputed(pair.model, ids + greedy.token_ids, 10)
    assert greedy.logprobs == pytest.approx(expected, abs=1e-3)


def test_truncated_tokens_come_as_often_as_their_renormalised_probabilities_say(chat, pair):
    ids, top_p, top_k, draws = prompts(chat, 1)[0], 0.8, 6, 240
    likely = torch.topk(torch.softmax(plain_logits(pair.model, [*ids, 0], 1)[0], -1), top_k)
    probs = likely.values / likely.values.sum()
    probs = probs.where(probs.cumsum(-1) - probs < top_p, 0.0)
    probs, counts = (probs / probs.sum()).tolist(), Counter[int]()
    for seed in range(draws):
        pair.sampler.add_request(str(seed), ids, SamplingParams(1, 1.0, top_p, seed, top_k))
    counts.update(completion.token_ids[0] for completion in drain(pair.sampler).values())
    assert 0.0 in probs and set(counts) <= {t for t, p in zip(likely.indices.tolist(), probs, strict=True) if p}
    for token, probability in zip(likely.indices.tolist(), probs, strict=True):
        deviation = (draws * probability * (1 - probability)) ** 0.5
        assert abs(counts[token] - draws * probability) < 4 * deviation + 1


def test_logprobs_of_given_tokens_equal_a_plain_forward(chat, pair):
    ids = [token for prompt in prompts(chat, 4) for token in prompt]
    found = pair.sampler.logprobs(ids, 20, 0.7)
    assert found == pytest.approx(recomputed(pair.model, ids, 20, 0.7), abs=1e-3)
    with pytest.raises(SamplerError, match="logprobs of 3 of 3 tokens"):
        pair.sampler.logprobs(ids[:3], 3, 1.0)
    with pytest.raises(SamplerError, match="logprobs of 300 tokens, which are more than the 256 of sampler.max_tokens"):
        pair.sampler.logprobs((ids * 9)[:300], 3, 1.0)


def test_new_weights_drop_everything_cached(chat, pair):
    """Also of the prompt, which the old weights had computed."""
    ids = [token for prompt in prompts(chat, 4) for token in prompt]  # longer than a block of a prefix cache
    before, scored = ask(pair.sampler, "s", ids), pair.sampler.logprobs(ids, 8, 1.0)
    other = make_wide_student(chat, seed=1, tied=pair.model.config.tie_word_embeddings)
    pair.sampler.load_weights(other.named_parameters())
    after = ask(pair.sampler, "s", ids)
    assert after.token_ids != before.token_ids
    assert after.logprobs == pytest.approx(recomputed(other, ids + after.token_ids, len(after.token_ids)), abs=1e-3)
    rescored = pair.sampler.logprobs(ids, 8, 1.0)
    assert rescored != pytest.approx(scored, abs=0.1)
    assert rescored == pytest.approx(recomputed(other, ids, 8), abs=1e-3)


def test_weights_are_taken_once_and_in_order_each_before_the_next(chat, pair):
    """Behind the iterator processes gather a weight together, and give its memory back when the next is asked for."""
    other = make_wide_student(chat, seed=2, tied=pair.model.config.tie_word_embeddings)
    asked = []

    def weights():
        for name, value in other.named_parameters():
            lent = value.detach().clone()
            asked.append(name)
            yield name, lent
            lent.fill_(float("nan"))

    pair.sampler.load_weights(weights())
    assert asked == [name for name, _ in other.named_parameters()]
    ids = prompts(chat, 1)[0]
    done = ask(pair.sampler, "s", ids)
    assert done.logprobs == pytest.approx(recomputed(other, ids + done.token_ids, 12), abs=1e-3)


def test_sessions_end_with_sleep_and_begin_anew_with_weights(chat, pair):
    first, second = prompts(chat, 2)
    ask(pair.sampler, "s", first)
    pair.sampler.sleep()
    pair.sampler.load_weights(pair.model.named_parameters())
    assert ask(pair.sampler, "s", second).token_ids


def test_requests_that_make_no_sense_are_refused(chat, pair):
    sampler, ids = pair.sampler, prompts(chat, 1)[0]
    sampler.add_request("s", ids, GREEDY)
    with pytest.raises(SamplerError, match="already has a running request"):
        sampler.add_request("s", ids, GREEDY)
    for during in (lambda: sampler.load_weights([]), sampler.sleep, lambda: sampler.logprobs(ids, 1, 1.0)):
        with pytest.raises(SamplerError, match="while requests run"):
            during()
    with pytest.raises(SamplerError, match="ended while its request runs"):
        sampler.end_session("s")
    drain(sampler)
    with pytest.raises(SamplerError, match="max_tokens is 0"):
        sampler.add_request("t", ids, SamplingParams(max_tokens=0))
    with pytest.raises(SamplerError, match="at least one token"):
        sampler.add_request("t", [], GREEDY)
    with pytest.raises(SamplerError, match="token 1000000, accepted: 0 to"):
        sampler.add_request("t", [*ids, 10**6], GREEDY)
    with pytest.raises(SamplerError, match="250 tokens and 12 to sample are more than the 256 of sampler.max_tokens"):
        sampler.add_request("t", (ids * 50)[:250], GREEDY)
    assert ask(sampler, "t", ids).token_ids
    assert ask(sampler, "t2", (ids * 50)[:244]).token_ids


def test_an_unknown_sampler_is_refused(chat, student):
    with pytest.raises(ValueError, match="sampler.name=sglang, accepted: transformers, vllm"):
        build_sampler("sglang", student, chat.end_ids)
