"""Which optimiser takes which parameter, and the schedule of the learning rate."""

import math
from dataclasses import replace

import pytest
import torch
from transformers import get_scheduler

from mentor.policy.muon import Muon
from mentor.policy.optimizer import OptimizerSettings, build_optimizers, trained_parameters


def test_schedules_of_the_learning_rate():
    linear = OptimizerSettings("adamw", 1.0, warmup_steps=2, schedule="linear", total_steps=10)
    assert [linear.factor(step) for step in (0, 1, 2, 6, 10)] == [0.5, 1.0, 1.0, 0.5, 0.0]
    assert OptimizerSettings("adamw", 1.0).factor(99) == 1.0
    cosine = replace(linear, schedule="cosine")
    # after the warm-up the cosine of 0, 45, 90 and 180 degrees: (1 + cos) / 2
    quarter = (1 + math.sqrt(0.5)) / 2
    assert [cosine.factor(step) for step in (0, 2, 4, 6, 10)] == pytest.approx([0.5, 1.0, quarter, 0.5, 0.0])
    wsd = replace(linear, schedule="wsd", decay_share=0.4)  # the last 4 of 10 steps
    assert [wsd.factor(step) for step in (0, 2, 6, 7, 8, 10)] == pytest.approx([0.5, 1.0, 1.0, quarter, 0.5, 0.0])
    late = replace(wsd, warmup_steps=8)  # the decay begins where the warm-up ends
    assert [late.factor(step) for step in (7, 8, 9, 10)] == pytest.approx([1.0, 1.0, 0.5, 0.0])


@pytest.mark.parametrize("schedule", ["constant", "linear", "cosine", "wsd"])
def test_schedules_are_those_of_transformers_after_the_warm_up(schedule):
    settings = OptimizerSettings("adamw", 1.0, warmup_steps=3, schedule=schedule, total_steps=40, decay_share=0.25)
    optimizer = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=1.0)
    name = {"constant": "constant_with_warmup", "wsd": "warmup_stable_decay"}.get(schedule, schedule)
    more = {"scheduler_specific_kwargs": {"num_decay_steps": 10}} if schedule == "wsd" else {}
    theirs = get_scheduler(name, optimizer, num_warmup_steps=3, num_training_steps=40, **more)
    for step in range(40):
        if step >= 3:
            assert settings.factor(step) == pytest.approx(theirs.get_last_lr()[0], abs=1e-12), step
        optimizer.step()
        theirs.step()


def taken(optimizer):
    return {id(p) for group in optimizer.param_groups for p in group["params"]}


def test_adamw_takes_everything_that_is_trained(student):
    student.model.norm.weight.requires_grad_(False)
    names = [name for name, _ in trained_parameters(student)]
    assert "model.norm.weight" not in names and "model.embed_tokens.weight" in names
    settings = OptimizerSettings("adamw", 0.1, weight_decay=0.5, eps=1e-6)
    (adamw,) = build_optimizers(student, settings)
    assert taken(adamw) == {id(p) for _, p in trained_parameters(student)}
    assert adamw.defaults["betas"] == (0.9, 0.95) and adamw.defaults["weight_decay"] == 0.5
    assert adamw.defaults["eps"] == 1e-6 and adamw.defaults["fused"]
    for parameter in student.parameters():
        parameter.requires_grad_(False)
    assert build_optimizers(student, OptimizerSettings("adamw", 0.1)) == []


def test_muon_takes_the_matrices_inside_the_layers_alone(student):
    adamw, muon = build_optimizers(student, OptimizerSettings("muon", 0.1, betas=(0.8, 0.999)))
    assert adamw.defaults["betas"] == (0.8, 0.999)
    assert isinstance(adamw, torch.optim.AdamW) and isinstance(muon, Muon)
    inside = {id(p) for name, p in student.named_parameters() if name.endswith("_proj.weight")}
    assert taken(muon) == inside and taken(adamw) == {id(p) for p in student.parameters()} - inside
    with pytest.raises(ValueError, match="optimizer=sgd, accepted: adamw, muon"):
        build_optimizers(student, OptimizerSettings("sgd", 0.1))
