"""Adapters that are pushed alone: vLLM holds them apart from the base, and what does not arrive whole is seen."""

import copy

import pytest
import torch

from mentor.errors import SamplerError
from mentor.policy.lora import adapted_layers
from mentor.sampling import Canary, SamplingParams, build_sampler, push_weights
from mentor.timer import Timer
from tests.fixtures.policies import make_policy
from tests.fixtures.samplers import (
    Pair,
    adapted,
    drain,
    lora_settings,
    needs_vllm,
    open_pair,
    prompts,
    recomputed,
    save_student,
)

pytestmark = needs_vllm


@pytest.fixture(scope="module")
def opened(chat, tmp_path_factory):
    folder = tmp_path_factory.mktemp("student")
    settings = lora_settings(adapted(save_student(chat, folder)))
    with open_pair("vllm", chat, folder, **settings) as pair:
        yield Pair(pair.sampler, adapted(copy.deepcopy(pair.model)))


@pytest.fixture
def canary(chat):
    return Canary([token for prompt in prompts(chat, 3) for token in prompt])


def moved(model, seed):
    """A policy with other adapters on the same base."""
    torch.manual_seed(seed)
    other = copy.deepcopy(model)
    with torch.no_grad():
        for parameter in other.parameters():
            if parameter.requires_grad:
                parameter.add_(0.05 * torch.randn_like(parameter))
    return other


def push(chat, pair, model, canary):
    return push_weights(make_policy(model, chat), pair.sampler, canary, 1.0, 1, Timer())


def test_each_push_replaces_the_adapters_and_what_was_cached_under_the_old_ones(chat, opened, canary):
    ids = prompts(chat, 2)[1] + list(range(40, 60))
    for seed in (1, 2):
        model = moved(opened.model, seed)
        assert push(chat, opened, model, canary)["sync/canary_difference"] < 1e-4
        assert opened.sampler.logprobs(ids, 12, 1.0) == pytest.approx(recomputed(model, ids, 12), abs=1e-4)
    for index, prompt in enumerate(prompts(chat, 9)):
        opened.sampler.add_request(str(index), prompt, SamplingParams(max_tokens=9, seed=index))
    for name, completion in drain(opened.sampler).items():
        tokens = prompts(chat, 9)[int(name)] + completion.token_ids
        expected = recomputed(model, tokens, len(completion.token_ids))
        assert completion.logprobs == pytest.approx(expected, abs=1e-3)


def test_the_base_is_not_sent(chat, opened, canary):
    sent = []
    load = opened.sampler.load_weights
    opened.sampler.load_weights = lambda weights: load((sent.append(name), (name, value))[1] for name, value in weights)
    try:
        push(chat, opened, opened.model, canary)
    finally:
        del opened.sampler.load_weights
    assert len(sent) == 2 * 2 * 7 and all(".lora_" in name for name in sent)


@pytest.mark.parametrize(
    "name", ["model.layers.1.mlp.up_proj.lora_B.weight", "model.layers.0.self_attn.v_proj.lora_A.weight"]
)
def test_an_adapter_that_arrives_otherwise_is_named(chat, opened, canary, name):
    load = opened.sampler.load_weights
    opened.sampler.load_weights = lambda weights: load((key, value + 0.01 * (key == name)) for key, value in weights)
    part = name.rsplit(".", 3)[0]
    try:
        with pytest.raises(SamplerError, match=rf"checksums of policy and sampler differ in 1 of \d parts.*\({part}\)"):
            push(chat, opened, opened.model, canary)
    finally:
        del opened.sampler.load_weights


def test_another_base_than_the_policys_is_seen(chat, opened, canary):
    other = copy.deepcopy(opened.model)
    (_, layer), *_ = adapted_layers(other)
    with torch.no_grad():
        layer.base_layer.weight[0, 0] += 0.5
    with pytest.raises(SamplerError, match=r"differ in 1 of \d parts.*\(model.layers.0.self_attn\)"):
        push(chat, opened, other, canary)


def test_the_saved_adapters_load_in_vllm_and_are_what_was_pushed(chat, opened, canary, tmp_path):
    from vllm.lora.request import LoRARequest

    push(chat, opened, opened.model, canary)
    held = opened.sampler.checksums()
    make_policy(opened.model, chat).save_adapter(tmp_path)
    push(chat, opened, moved(opened.model, 3), canary)
    assert opened.sampler.checksums() != held
    with opened.sampler.engine_at_work() as engine:
        engine.add_lora(LoRARequest("saved", 1, str(tmp_path), load_inplace=True))
    assert opened.sampler.checksums() == held


def test_layers_that_have_no_place_in_vllm_end_the_run_in_one_line(chat, opened, tmp_path):
    opened.sampler.close()
    settings = lora_settings(adapted(save_student(chat, tmp_path)))
    with open_pair("vllm", chat, tmp_path, **{**settings, "lora_layers": ("q_proj",)}) as pair:
        model = adapted(copy.deepcopy(pair.model))
        with pytest.raises(
            SamplerError, match=r"no place for the adapter of model.layers.0.mlp.* sampler=transformers"
        ):
            pair.sampler.load_weights(make_policy(model, chat).adapter(scaled=True))


def test_a_rank_that_vllm_has_no_room_for_is_refused(chat, tmp_path):
    with pytest.raises(SamplerError, match="trainer.lora.rank=513, accepted with sampler=vllm: up to 512"):
        build_sampler("vllm", tmp_path, chat.end_ids, lora_rank=513, lora_layers=("q_proj",))


@pytest.mark.slow
@pytest.mark.parametrize("shards", [1, 2])
def test_a_separate_engine_gets_them_too(chat, opened, canary, tmp_path, shards, monkeypatch):
    monkeypatch.setenv("VLLM_CPU_OMP_THREADS_BIND", "|".join(["0"] * shards))
    opened.sampler.close()
    settings = lora_settings(opened.model)
    with open_pair("vllm", chat, tmp_path, placement="separate", tensor_parallel=shards, **settings) as pair:
        other = Pair(pair.sampler, opened.model)
        assert push(chat, other, opened.model, canary)["sync/canary_difference"] < 1e-4
        assert push(chat, other, moved(opened.model, 4), canary)["sync/canary_difference"] < 1e-4
