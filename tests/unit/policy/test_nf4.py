"""A base in four bits: what is trained, computed, exported and resumed with bitsandbytes' layers."""

import json

import pytest
import torch

from mentor.config import LoraConfig, ModelConfig, SftTrainer
from mentor.policy.lora import adapted_layers, adapters_off
from mentor.policy.model import load_model
from mentor.policy.nf4 import quantization, whole
from mentor.policy.supervised import supervised_loss
from mentor.sampling import TransformersSampler
from mentor.stages.training import build_policy, load_student
from tests.fixtures.distributions import kl_divergence, next_token_logprobs
from tests.fixtures.installed import needs
from tests.fixtures.policies import make_batch
from tests.fixtures.samplers import prompts, recomputed
from tests.fixtures.students import make_wide_student

pytestmark = needs("peft", "bitsandbytes")
TRAINER = SftTrainer(learning_rate=1e-2, lora=LoraConfig(rank=4, alpha=8, quantize="nf4"))


@pytest.fixture(params=["tied", "untied"])
def base(request, chat, tmp_path):
    make_wide_student(chat, tied=request.param == "tied").save_pretrained(tmp_path / "base")
    chat.tokenizer.save_pretrained(tmp_path / "base")
    return tmp_path / "base"


def make(base, chat, dtype="float32"):
    torch.manual_seed(0)
    model = ModelConfig("tiny", dtype=dtype)
    return build_policy(load_student(base, model, TRAINER), chat, model, TRAINER, 10)


def test_linear_layers_are_packed_and_the_adapters_alone_are_trained(base, chat):
    policy = make(base, chat)
    packed = [name for name, value in policy.model.named_parameters() if value.dtype == torch.uint8]
    assert len(packed) == 2 * 7 and not any("lm_head" in name or "embed" in name for name in packed)
    assert len(policy.trained_parameters()) == 2 * 2 * 7
    before, others = policy.logprobs(make_batch()), dict(policy.weights(merged=False))
    for _ in range(3):
        policy.update(make_batch(), supervised_loss)
    assert (policy.logprobs(make_batch()) - before).abs().max() > 0.1
    with adapters_off(policy.model):
        assert torch.allclose(policy.logprobs(make_batch()), before, atol=1e-5)
    assert all(torch.equal(value, others[name]) for name, value in policy.weights(merged=False))


def test_whole_weights_are_the_bases_rounded_to_four_bits(base, chat):
    policy, given = make(base, chat), dict(load_model(base).named_parameters())
    for name, layer in adapted_layers(policy.model):
        weight, original = whole(layer.base_layer.weight).float(), given[f"{name}.weight"]
        assert weight.shape == original.shape and len(weight[0].unique()) <= 16 * (weight.shape[1] // 64)
        assert 0.05 < float((weight - original.detach()).norm() / original.detach().norm()) < 0.15
    assert torch.equal(policy.model.model.norm.weight, given["model.norm.weight"])


@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
def test_the_export_is_the_policy_and_an_ordinary_model(base, chat, tmp_path, dtype):
    policy = make(base, chat, dtype)
    for _ in range(3):
        policy.update(make_batch(), supervised_loss)
    policy.save_model(tmp_path / "model")
    config = json.loads((tmp_path / "model" / "config.json").read_text())
    assert config["dtype"] == "float32" and "quantization_config" not in config
    trained = next_token_logprobs(policy.model, make_batch())
    with adapters_off(policy.model):
        moved = kl_divergence(trained, next_token_logprobs(policy.model, make_batch()))
    lost = kl_divergence(next_token_logprobs(load_model(tmp_path / "model"), make_batch()), trained)
    assert lost < (1e-6 if dtype == "float32" else 1e-2) * moved


def test_a_checkpoint_goes_on_exactly(base, chat, tmp_path):
    unbroken = make(base, chat)
    unbroken.update(make_batch(), supervised_loss)
    unbroken.save_state(tmp_path)
    resumed = make(base, chat)
    resumed.load_state(tmp_path)
    for policy in (unbroken, resumed):
        policy.update(make_batch(), supervised_loss)
    ours, theirs = dict(unbroken.weights()), dict(resumed.weights())
    assert all(torch.equal(value, theirs[name]) for name, value in ours.items())


def test_the_embedded_sampler_samples_what_the_policy_computes(base, chat):
    policy = make(base, chat)
    policy.update(make_batch(), supervised_loss)
    ids = prompts(chat, 1)[0] + list(range(40, 52))
    sampler = TransformersSampler(policy.model, chat.end_ids, 4, policy.dtype, 256, shared=True)
    assert sampler.logprobs(ids, 8, 1.0) == pytest.approx(recomputed(policy.model, ids, 8), abs=1e-5)


def test_layers_compute_in_the_type_that_was_asked_for():
    assert quantization(torch.bfloat16).bnb_4bit_compute_dtype == torch.bfloat16
