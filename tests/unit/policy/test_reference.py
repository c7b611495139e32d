"""The reference model: the policy without its adapters, or a frozen second model."""

import pytest
import torch

from mentor.policy.lora import add_adapters
from mentor.policy.reference import build_reference
from mentor.policy.supervised import supervised_loss
from tests.fixtures.policies import make_batch, make_policy
from tests.fixtures.students import make_small_student


def test_without_adapters_a_frozen_model_is_loaded(student, chat):
    policy, frozen = make_policy(student, chat), make_policy(make_small_student(chat), chat)
    assert build_reference(policy, lambda: frozen) is frozen


def places(policy):
    return {value.device.type for value in policy.model.parameters()}


@pytest.mark.parametrize("kind", ["cpu", pytest.param("cuda", marks=pytest.mark.gpu)])
def test_an_offloaded_model_is_on_the_device_only_while_it_scores(chat, kind):
    """Without a GPU both are the same memory, and what is left to see is that it scores as it did."""
    frozen, batch = make_policy(make_small_student(chat).to("cpu"), chat), make_batch()
    expected, seen, scoring = frozen.logprobs(batch), [], frozen.engine.module.forward
    frozen.engine.module.forward = lambda *tokens: seen.append(places(frozen)) or scoring(*tokens)
    policy = make_policy(make_small_student(chat).to(kind), chat)
    reference = build_reference(policy, lambda: frozen, offload=True)
    for _ in range(2):
        assert torch.allclose(reference.logprobs(batch), expected, atol=1e-5)
        assert seen == [{kind}] * len(seen) and places(frozen) == {"cpu"} and frozen.engine.device.type == "cpu"
    assert seen


def test_with_adapters_the_policy_itself_scores_as_its_base(chat):
    pytest.importorskip("peft")
    student = make_small_student(chat)
    add_adapters(student, rank=4, alpha=8)
    policy = make_policy(student, chat)
    reference = build_reference(policy, lambda: pytest.fail("a second model was loaded"))
    before = policy.logprobs(make_batch())
    policy.update(make_batch(), supervised_loss)
    moved = policy.logprobs(make_batch())
    assert torch.allclose(reference.logprobs(make_batch()), before, atol=1e-6)
    assert not torch.allclose(moved, before, atol=1e-3) and torch.equal(policy.logprobs(make_batch()), moved)
