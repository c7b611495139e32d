"""Which optimiser takes which parameter, and the schedule of the learning rate."""

import pytest
import torch

from mentor.policy.muon import Muon
from mentor.policy.optimizer import OptimizerSettings, build_optimizers, trained_parameters


def test_schedule_of_the_learning_rate():
    linear = OptimizerSettings("adamw", 1.0, warmup_steps=2, schedule="linear", total_steps=10)
    assert [linear.factor(step) for step in (0, 1, 2, 6, 10)] == [0.5, 1.0, 1.0, 0.5, 0.0]
    assert OptimizerSettings("adamw", 1.0).factor(99) == 1.0


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
