"""Packed, padded and alone: conversations longer than the window, two rows, every kind of layer."""

import pytest
import torch

from mentor.algorithm.loss import LossSettings
from mentor.policy import OptimizerSettings
from mentor.policy.layers import keeps_sequences_apart, layer_kinds, sees_back_alone
from mentor.rl.update import make_loss_function
from tests.fixtures.families import ATTENDING, FAMILIES, PACKED, WINDOW, WITH_STATE, make_family
from tests.fixtures.policies import build_policy, gradients_of, make_tokens, policy_batch, weights_of

LENGTHS = (25, 40, 22, 18, 15)  # packed into rows of 40: 40 alone, 22 and 18, 25 and 15


def test_kinds_of_layers_are_those_of_the_config():
    kinds = {name: layer_kinds(make_family(name)) for name in FAMILIES}
    assert kinds["llama"] == {"full_attention"} and kinds["mistral"] == {"sliding_attention"}
    assert all(kinds[name] == {"full_attention", "sliding_attention"} for name in ("gemma3", "gemma4", "gpt_oss"))
    assert all(kinds[name] == {"full_attention", "linear_attention"} for name in WITH_STATE if name != "lfm2")
    assert kinds["lfm2"] == {"full_attention", "conv"}


def test_a_model_with_state_that_names_no_layers_is_one():
    model = make_family("llama")
    model._is_stateful = True
    assert layer_kinds(model) == {"full_attention", "linear_attention"} and not keeps_sequences_apart(model)


def policy_of(name, packing):
    settings = OptimizerSettings("adamw", 0.0, max_grad_norm=0.0)
    return build_policy(make_family(name), None, settings, micro_batch_tokens=120, packing=packing)


def batch_of(first_seed=0):
    """The first sequence has no weight in the loss, so that nothing of it may show."""
    records = [make_tokens(first_seed if i == 0 else i, 2, length - 2, 97) for i, length in enumerate(LENGTHS)]
    return policy_batch(records, [0.0, 1.0, -1.0, 2.0, -2.0])


def outcome(name, packing, batch):
    policy = policy_of(name, packing)
    policy.update(batch, make_loss_function(LossSettings(0.2, 0.28)))
    return policy.logprobs(batch), gradients_of(policy), policy


@pytest.mark.parametrize("name", FAMILIES)
def test_packing_changes_nothing_and_one_sequence_does_not_change_the_others(name):
    assert min(LENGTHS) > WINDOW
    logprobs, gradients, policy = outcome(name, True, batch_of())
    assert policy.packing == (name in PACKED)
    if policy.packing:
        (part,) = policy.micro_batches(batch_of())
        assert sorted((part.packing.places // 40).tolist()) == [0, 1, 1, 2, 2]
    padded, of_padded, _ = outcome(name, False, batch_of())
    changed, of_changed, _ = outcome(name, True, batch_of(first_seed=77))
    alone = torch.zeros_like(logprobs)
    for row in range(len(LENGTHS)):
        one = batch_of().take(torch.tensor([row]))
        alone[row, : one.token_ids.shape[1]] = policy.logprobs(one)[0]
    assert torch.allclose(logprobs, padded, atol=2e-5) and torch.allclose(logprobs, alone, atol=2e-5)
    assert torch.allclose(logprobs[1:], changed[1:], atol=2e-6) and not torch.allclose(logprobs[0], changed[0])
    for parameter, value in gradients.items():
        scale = float(value.abs().max())
        assert torch.allclose(value, of_padded[parameter], rtol=1e-3, atol=1e-4 * scale + 1e-8), parameter
        assert torch.allclose(value, of_changed[parameter], rtol=1e-3, atol=1e-4 * scale + 1e-8), parameter


@pytest.mark.parametrize("name", WITH_STATE)
def test_the_same_sequences_leak_where_they_are_packed_all_the_same(name):
    policy = policy_of(name, False)
    policy.packing = True
    padded, leaked = policy_of(name, False).logprobs(batch_of()), policy.logprobs(batch_of())
    assert not torch.allclose(padded, leaked, atol=2e-5)


@pytest.mark.parametrize("name", FAMILIES)
def test_what_stands_in_the_padding_changes_nothing(name):
    policy, batch = policy_of(name, False), batch_of()
    found = policy.logprobs(batch)
    batch.token_ids[~batch.attention] = 50
    assert torch.allclose(policy.logprobs(batch), found, atol=1e-6)


def test_a_model_that_counts_places_by_chunks_is_not_packed():
    model = make_family("llama")
    model.config.layer_types = ["chunked_attention", "full_attention"]
    assert not keeps_sequences_apart(model)
    assert all(keeps_sequences_apart(make_family(name)) == (name in PACKED) for name in ATTENDING)


def test_attention_needs_no_mask_of_the_padding_and_state_keeps_it():
    assert {name for name in FAMILIES if sees_back_alone(make_family(name))} == set(ATTENDING)


def test_a_model_that_sees_ahead_without_a_mask_keeps_it():
    model = make_family("llama")
    for layer in model.model.layers:
        layer.self_attn.is_causal = False
    assert not sees_back_alone(model)


@pytest.mark.parametrize("name", ["llama", "mistral", "gemma3"])
def test_an_update_without_a_mask_of_the_padding_gives_the_same_weights_bit_for_bit(name):
    weights = []
    for causal in (True, False):
        policy = build_policy(make_family(name), None, OptimizerSettings("adamw", 1e-2), micro_batch_tokens=120)
        assert policy.engine.scorer.causal
        policy.engine.scorer.causal = causal
        for seed in range(2):
            policy.update(batch_of(seed), make_loss_function(LossSettings(0.2, 0.28)))
        weights.append(weights_of(policy))
    assert all(torch.equal(value, weights[1][name]) for name, value in weights[0].items())
