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
