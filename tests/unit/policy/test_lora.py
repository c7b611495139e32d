import pytest
import torch
from transformers import AutoModelForCausalLM

from mentor.policy import OptimizerSettings
from mentor.policy.lora import adapted_layers, adapters_off, add_adapters
from mentor.policy.model import load_model
from mentor.policy.supervised import supervised_loss
from tests.fixtures.distributions import kl_divergence, next_token_logprobs
from tests.fixtures.families import make_family
from tests.fixtures.installed import needs
from tests.fixtures.policies import build_policy, make_batch, make_policy
from tests.fixtures.students import make_small_student

pytestmark = needs("peft")


def adapted(chat, seed=0):
    student = make_small_student(chat, seed)
    add_adapters(student, rank=4, alpha=8)
    return make_policy(student, chat)


def test_adapters_are_all_that_is_trained_and_start_as_the_base(chat):
    policy = adapted(chat)
    names = [name for name, _ in policy.trained_parameters()]
    assert names and all(".lora_" in name for name in names)
    assert len(list(adapted_layers(policy.model))) == 2 * 7  # q, k, v, o, gate, up, down of two layers, not the head
    base = make_policy(make_small_student(chat), chat)
    batch = make_batch()
    assert torch.allclose(policy.logprobs(batch), base.logprobs(batch), atol=1e-6)
    policy.update(batch, supervised_loss)
    moved = policy.logprobs(batch)
    assert not torch.allclose(moved, base.logprobs(batch), atol=1e-3)
    with adapters_off(policy.model):
        assert torch.allclose(policy.logprobs(batch), base.logprobs(batch), atol=1e-6)
    assert torch.equal(policy.logprobs(batch), moved)
    assert all(p.requires_grad for _, p in policy.trained_parameters()) and len(policy.trained_parameters()) == len(
        names
    )


def test_merged_export_equals_the_adapter_model_and_loads_in_transformers(chat, tmp_path):
    policy = adapted(chat)
    for _ in range(3):
        policy.update(make_batch(), supervised_loss)
    plain = dict(make_small_student(chat).named_parameters())
    exported = dict(policy.weights())
    assert exported.keys() == plain.keys()
    assert {name for name in plain if torch.equal(exported[name], plain[name])} == {
        name for name in plain if not name.endswith("_proj.weight")
    }
    policy.save_model(tmp_path)
    loaded, report = AutoModelForCausalLM.from_pretrained(tmp_path, output_loading_info=True)
    assert not report["missing_keys"] and not report["unexpected_keys"]
    again = make_policy(loaded, chat)
    assert torch.allclose(again.logprobs(make_batch()), policy.logprobs(make_batch()), atol=1e-5)


@pytest.fixture
def base(chat, tmp_path):
    make_small_student(chat).save_pretrained(tmp_path / "base")
    chat.tokenizer.save_pretrained(tmp_path / "base")
    return tmp_path / "base"


def test_the_adapters_load_in_peft_on_the_base_that_they_name(base, chat, tmp_path):
    from peft import PeftConfig, PeftModel

    student = load_model(base)
    add_adapters(student, rank=4, alpha=6)
    policy = make_policy(student, chat)
    for _ in range(3):
        policy.update(make_batch(), supervised_loss)
    policy.save_adapter(tmp_path / "adapter")
    config = PeftConfig.from_pretrained(tmp_path / "adapter")
    assert (config.r, config.lora_alpha, config.base_model_name_or_path) == (4, 6, str(base))
    before = make_policy(load_model(base), chat).logprobs(make_batch())
    loaded = PeftModel.from_pretrained(load_model(config.base_model_name_or_path), tmp_path / "adapter")
    found = make_policy(loaded.get_base_model(), chat).logprobs(make_batch())
    assert torch.allclose(found, policy.logprobs(make_batch()), rtol=0, atol=1e-5)
    assert not torch.allclose(found, before, atol=1e-2)


def test_an_export_after_bfloat16_training_is_the_policy(base, chat, tmp_path):
    """48 updates at a rate at which rounding the merged weights to bfloat16 would lose a part of what was learned."""
    student = load_model(base)
    add_adapters(student, rank=4, alpha=8)
    settings = OptimizerSettings("adamw", 1e-5)
    policy = build_policy(student, chat.tokenizer, settings, torch.bfloat16)
    for _ in range(48):
        policy.update(make_batch(), supervised_loss)
    policy.save_model(tmp_path / "model")
    loaded = AutoModelForCausalLM.from_pretrained(tmp_path / "model")
    assert loaded.dtype == torch.float32 and loaded.config.dtype == torch.float32
    trained = next_token_logprobs(student, make_batch())
    with adapters_off(student):
        moved = kl_divergence(trained, next_token_logprobs(student, make_batch()))
    lost = kl_divergence(next_token_logprobs(loaded, make_batch()), trained)
    rounded = kl_divergence(next_token_logprobs(loaded.bfloat16().float(), make_batch()), trained)
    assert lost < 1e-4 * moved < 1e-2 * rounded


def test_a_checkpoint_holds_the_adapters_alone_and_goes_on_exactly(chat, tmp_path):
    unbroken = adapted(chat)
    unbroken.update(make_batch(), supervised_loss)
    unbroken.save_state(tmp_path)
    restored = adapted(chat)
    restored.load_state(tmp_path)
    for policy in (unbroken, restored):
        policy.update(make_batch(), supervised_loss)
    ours, theirs = dict(unbroken.weights()), dict(restored.weights())
    assert all(torch.equal(value, theirs[name]) for name, value in ours.items())


def test_layers_of_images_get_no_adapters():
    model = make_family("gemma3_mm")
    add_adapters(model, rank=4, alpha=8)
    adapted = [name for name, _ in adapted_layers(model)]
    assert len(adapted) == 2 * 7 and all(".language_model." in name for name in adapted)


@pytest.mark.parametrize(("family", "layers"), [("granite4", 1 + 4 + 2 * 2), ("nemotron_h", 1 + 4 + 2)])
def test_a_mamba_layers_output_projection_gets_none(family, layers):
    model = make_family(family)
    add_adapters(model, rank=4, alpha=8)
    adapted = [name for name, _ in adapted_layers(model)]
    assert len(adapted) == layers and not any(name.endswith("out_proj") for name in adapted)
