"""A push that does not arrive whole is seen, whatever of the two sees it."""

import copy
from itertools import count

import pytest
import torch

from mentor.errors import SamplerError
from mentor.sampling import Canary, TransformersSampler, push_weights
from mentor.timer import Timer
from tests.fixtures.policies import make_policy
from tests.fixtures.samplers import KINDS, adapted, open_pair, prompts, recomputed

TEMPERATURE = 0.8
SEEDS = count()


def make_pushed(chat, model):
    return make_policy(model, chat, learning_rate=0.0, temperature=TEMPERATURE)


@pytest.fixture(scope="module", params=KINDS)
def opened(request, chat, tmp_path_factory):
    with open_pair(request.param, chat, tmp_path_factory.mktemp("student")) as pair:
        yield pair


@pytest.fixture
def pair(opened):
    return opened.reset()


@pytest.fixture
def policy(chat, pair):
    """Some way from where the sampler still is, and from every test before: freed memory may hold what they pushed."""
    torch.manual_seed(next(SEEDS))
    model = copy.deepcopy(pair.model)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(0.02 * (parameter.std() + 0.1) * torch.randn_like(parameter))
    return make_pushed(chat, model)


@pytest.fixture
def canary(chat):
    return Canary([token for prompt in prompts(chat, 3) for token in prompt])


class Tampered:
    """A sampler whose weights are changed on their way in; `unseen` ones are not found by a checksum."""

    def __init__(self, sampler, change, unseen=False):
        self.sampler, self.change, self.unseen = sampler, change, unseen

    def __getattr__(self, name):
        return getattr(self.sampler, name)

    @property
    def engines(self):
        return [self]

    def load_weights(self, weights):
        self.sampler.load_weights(self.change(weights))

    def checksums(self):
        return None if self.unseen else self.sampler.checksums()


def leave_out(wanted):
    return lambda weights: ((name, value) for name, value in weights if name != wanted)


def change_one(wanted, change):
    return lambda weights: ((name, change(value) if name == wanted else value) for name, value in weights)


ATTENTION = "model.layers.1.self_attn.o_proj.weight"


def test_a_whole_push_agrees(pair, policy, canary):
    for step in range(2):
        timer = Timer()
        stats = push_weights(policy, pair.sampler, canary, TEMPERATURE, step, timer)
        assert stats["sync/canary_difference"] < 1e-4 and stats["sync/canary_growth"] <= 1.0
        assert set(timer.seconds) == {"push", "push_check"}
        assert stats["sync/push_gib"] * 2**30 == 4 * sum(value.numel() for _, value in policy.weights())


def test_pushed_adapters_sample_as_the_adapter_model(pair, chat, canary):
    model = copy.deepcopy(pair.model)
    policy = make_pushed(chat, adapted(model))
    expected = recomputed(model, canary.token_ids, 8)
    assert recomputed(pair.model, canary.token_ids, 8) != pytest.approx(expected, abs=0.01)
    push_weights(policy, pair.sampler, canary, TEMPERATURE, 1, Timer())
    assert pair.sampler.logprobs(canary.token_ids, 8, 1.0) == pytest.approx(expected, abs=1e-3)


@pytest.mark.parametrize(
    ("change", "part"),
    [
        (leave_out(ATTENTION), "model.layers.1.self_attn"),
        (leave_out("model.layers.0.mlp.up_proj.weight"), "model.layers.0.mlp"),
        (leave_out("model.norm.weight"), "model"),
        (leave_out("model.embed_tokens.weight"), "model"),
        (change_one(ATTENTION, lambda value: -value), "model.layers.1.self_attn"),
        (change_one("model.layers.0.input_layernorm.weight", lambda value: value * (1 + 1e-6)), "model.layers.0"),
    ],
)
def test_a_tensor_left_out_or_changed_shows_in_its_part_of_the_model(pair, policy, canary, change, part):
    message = (
        rf"^after the weight push of step 5 the checksums of policy and sampler differ in \d of \d parts.*\({part}"
    )
    with pytest.raises(SamplerError, match=message):
        push_weights(policy, Tampered(pair.sampler, change), canary, TEMPERATURE, 5, Timer())


@pytest.mark.parametrize("change", [leave_out(ATTENTION), change_one(ATTENTION, lambda value: value.flip(0))])
def test_the_canary_shows_what_a_checksum_does_not(pair, policy, canary, change):
    message = (
        "^after the weight push of step 5 the canary's logprobs of policy and sampler differ by .* in the mean, which "
        "no rounding explains; accepted: 0.01$"
    )
    with pytest.raises(SamplerError, match=message):
        push_weights(policy, Tampered(pair.sampler, change, unseen=True), canary, TEMPERATURE, 5, Timer())


def test_the_same_values_in_other_places_show_in_the_canary_alone(pair, policy, canary):
    swap = change_one(ATTENTION, lambda value: value.flip(0))
    with pytest.raises(SamplerError, match="the canary's logprobs"):
        push_weights(policy, Tampered(pair.sampler, swap), canary, TEMPERATURE, 5, Timer())


def test_the_canary_is_compared_at_the_temperature(pair, policy, canary):
    with pytest.raises(SamplerError, match="the canary's logprobs"):
        push_weights(policy, pair.sampler, canary, 1.0, 5, Timer())


def test_a_head_left_behind_by_a_reload_shows_in_both(pair, policy, canary, monkeypatch):
    """vLLM renews the embedding but not the packed copy of it that is the output head."""
    if isinstance(pair.sampler, TransformersSampler) or not pair.model.config.tie_word_embeddings:
        pytest.skip("of vLLM with tied embeddings")
    from mentor.sampling.vllm_worker import WorkerExtension

    monkeypatch.setattr(
        WorkerExtension, "mentor_load", lambda self, weights: self.reload_weights(weights_iterator=weights)
    )
    with pytest.raises(SamplerError, match=r"checksums of policy and sampler differ in 1 of \d parts.*\(lm_head\)"):
        push_weights(policy, pair.sampler, canary, TEMPERATURE, 5, Timer())
    unseen = Tampered(pair.sampler, lambda weights: weights, unseen=True)
    with pytest.raises(SamplerError, match="the canary's logprobs"):
        push_weights(policy, unseen, canary, TEMPERATURE, 5, Timer())


def test_a_shared_model_is_not_copied_and_still_compared(chat, student, canary):
    sampler = TransformersSampler(student, chat.end_ids, shared=True)
    policy = make_pushed(chat, student)
    stats = push_weights(policy, sampler, canary, TEMPERATURE, 1, Timer())
    assert stats["sync/canary_difference"] < 1e-4
    with pytest.raises(SamplerError, match="the canary's logprobs"):
        push_weights(policy, sampler, canary, 1.0, 1, Timer())


class Rounding:
    """A sampler in bfloat16 whose logprobs are off by `error`, half of them up and half of them down."""

    dtype, takes_adapter = torch.bfloat16, False

    def __init__(self, policy, canary, error):
        self.policy, self.canary, self.error = policy, canary, error

    @property
    def engines(self):
        return [self]

    def load_weights(self, weights):
        list(weights)

    def checksums(self):
        return None

    def logprobs(self, token_ids, count, temperature):
        exact = self.canary.policy_logprobs(self.policy)
        return [value + self.error * (-1) ** place for place, value in enumerate(exact)]


def test_rounding_of_a_large_model_is_a_metric_beside_the_first_pushs(chat, student, canary):
    policy = make_pushed(chat, student)
    sampler = Rounding(policy, canary, 0.15)
    found = []
    for sampler.error in (0.15, 0.3, 0.45):
        found.append(push_weights(policy, sampler, canary, TEMPERATURE, len(found), Timer()))
    assert [stats["sync/canary_difference"] for stats in found] == pytest.approx([0.15, 0.3, 0.45], abs=1e-5)
    assert [stats["sync/canary_growth"] for stats in found] == pytest.approx([1, 2, 3], abs=1e-4)
    sampler.error = 0.6
    with pytest.raises(SamplerError, match=r"step 3 the canary's .* differ by 0.6 in the mean.*; accepted: 0.5$"):
        push_weights(policy, sampler, canary, TEMPERATURE, 3, Timer())


def test_a_first_push_that_hardly_differs_is_no_measure_of_later_ones(chat, student, canary):
    policy = make_pushed(chat, student)
    for error, growth in ((0.001, 0.1), (0.02, 2.0)):
        stats = push_weights(policy, Rounding(policy, canary, error), canary, TEMPERATURE, 0, Timer())
        assert stats["sync/canary_growth"] == pytest.approx(growth, abs=1e-3)


def test_a_canary_is_the_end_of_its_tokens():
    canary = Canary(range(100, 150))
    assert canary.count == 32 and canary.token_ids == list(range(100, 150))
    assert canary.batch.loss_mask.tolist() == [[False] * 18 + [True] * 32]
    assert Canary([1, 2]).count == 1
    with pytest.raises(ValueError, match="at least 2 tokens"):
        Canary([1])
