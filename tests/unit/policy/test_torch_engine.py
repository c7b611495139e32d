"""Steps, reads and writes of the engine in one process, and the same updates over two."""

import json
from dataclasses import replace

import pytest
import torch
from safetensors.torch import load_file

from mentor.errors import PolicyError
from mentor.policy import OptimizerSettings, TorchEngine
from mentor.policy.lora import add_adapters
from mentor.policy.model import load_model
from mentor.policy.supervised import supervised_loss
from mentor.policy.torch_engine import buckets
from tests.fixtures import engine_worker as worker
from tests.fixtures.policies import build_policy, make_batch, make_policy, weights_of
from tests.fixtures.ranks import run_worker
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


def test_buckets_hold_parameters_in_their_order_up_to_a_size():
    sizes = [3, 4, 2, 9, 1]
    found = buckets([torch.nn.Parameter(torch.zeros(size)) for size in sizes], elements=7)
    assert [[p.numel() for p in bucket] for bucket in found] == [[3, 4], [2], [9], [1]]


@pytest.mark.slow
def test_two_processes_compute_what_one_does_without_deepspeed(chat, tmp_path):
    """Their checkpoint goes on in one process, and one of one process in two."""
    base, results = tmp_path / "base", tmp_path / "results.json"
    make_policy(make_small_student(chat), chat).save_model(base)

    def alone(case):
        model = load_model(base)
        if "lora" in case:
            torch.manual_seed(0)
            add_adapters(model, rank=4, alpha=8)
        settings = replace(worker.SETTINGS, name="muon") if "muon" in case else worker.SETTINGS
        return build_policy(model, chat.tokenizer, settings, micro_batch_tokens=10_000)

    def near(found, policy):
        return all(torch.allclose(found[name], value, rtol=0, atol=2e-5) for name, value in policy.weights())

    one = alone("torch")
    worker.train(one, worker.STEPS)
    (tmp_path / "one").mkdir()
    one.save_state(tmp_path / "one")
    cases = ["torch", "torch-lora", "torch-packed", "torch-muon", f"torch:{tmp_path / 'one'}"]
    ending = run_worker("tests.fixtures.engine_worker", base, results, *cases, count=2)
    assert (ending.code, ending.cause) == (0, None), ending.report
    found = json.loads(results.read_text())
    for case in cases[:4]:
        policy = alone(case)
        for ours, theirs in zip(found[case]["stats"], worker.train(policy, worker.STEPS), strict=True):
            assert ours == pytest.approx(theirs, rel=1e-5, abs=1e-6), case
        assert near(load_file(tmp_path / f"{case}-2-model" / "model.safetensors"), policy), case
    worker.train(one, 1)
    assert near(load_file(tmp_path / "torch-resumed-2-model" / "model.safetensors"), one)
    again = alone("torch")
    again.load_state(tmp_path / "torch-2")
    worker.train(again, 1)
    assert near(dict(again.weights()), one)
