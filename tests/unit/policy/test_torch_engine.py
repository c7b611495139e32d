"""Steps, reads and writes of the engine in one process."""

import pytest
import torch

from mentor.errors import PolicyError
from mentor.policy import OptimizerSettings, TorchEngine
from mentor.policy.supervised import supervised_loss
from tests.fixtures.policies import build_policy, make_batch, make_policy, weights_of
from tests.fixtures.students import make_small_student


def test_a_gradient_that_is_not_finite_stops_the_run_before_the_weights_change(student, chat):
    policy = make_policy(student, chat)
    before = weights_of(policy)
    with pytest.raises(PolicyError, match="the gradient norm is (nan|inf) at optimiser step 0"):
        policy.update(make_batch(), lambda output, batch: ((output.logprobs * 0).abs().sqrt().sum(), {}))
    assert all(torch.equal(value, before[name]) for name, value in weights_of(policy).items())


def test_a_norm_limit_of_zero_clips_nothing(chat):
    changed = []
    for limit in (0.0, 1e9):
        settings = OptimizerSettings("adamw", 1e-2, max_grad_norm=limit)
        policy = build_policy(make_small_student(chat), chat.tokenizer, settings)
        policy.update(make_batch(), supervised_loss)
        changed.append(weights_of(policy))
    assert all(torch.equal(value, changed[1][name]) for name, value in changed[0].items())
    start = dict(make_small_student(chat).named_parameters())
    assert not any(torch.equal(value, start[name]) for name, value in changed[0].items())


def test_a_step_returns_the_norm_before_clipping_and_counts(chat):
    model = make_small_student(chat)
    engine = TorchEngine(model, OptimizerSettings("adamw", 1e-2, max_grad_norm=0.5))
    engine.backward(sum((p * 3.0).sum() for p in model.parameters()), last=True)
    size = sum(p.numel() for p in model.parameters())
    assert engine.step(1e-2) == pytest.approx(3.0 * size**0.5, rel=1e-5) and engine.steps == 1
    assert all(p.grad is None for p in model.parameters())


@pytest.mark.parametrize("optimizer", ["adamw", "muon"])
def test_what_is_read_of_a_parameter_can_be_written_into_another_engine(chat, optimizer):
    policy = make_policy(make_small_student(chat), chat, optimizer)
    policy.update(make_batch(), supervised_loss)
    other = make_policy(make_small_student(chat, seed=4), chat, optimizer)
    other.engine.steps = policy.step
    for (name, ours), (same, theirs) in zip(policy.trained_parameters(), other.trained_parameters(), strict=True):
        entry = policy.engine.read(ours)
        assert name == same and "step" not in entry and len(entry) > 1
        with other.engine.gathered([theirs]):
            other.engine.write(theirs, entry)
        found = other.engine.read(theirs)
        assert found.keys() == entry.keys() and all(torch.equal(found[key], value) for key, value in entry.items())
