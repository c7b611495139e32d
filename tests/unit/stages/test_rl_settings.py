"""The steps that epochs over the tasks make, which terms fade, and the line that says what a run may spend."""

from dataclasses import replace

import pytest

from mentor.config import RewardConfig, RlTrainer, SamplerConfig
from mentor.errors import InputError
from mentor.rewards import load_preset
from mentor.rl.settings import AnnealSettings
from mentor.stages.rl_settings import algorithm_settings, budget, with_steps


def test_epochs_over_the_tasks_say_the_steps():
    trainer = RlTrainer(task_epochs=2, prompts_per_step=32, minibatches=4)
    assert with_steps(trainer, 1000).steps == 62 and with_steps(trainer, 1000).optimizer_steps == 248
    assert with_steps(trainer, 3).steps == 1
    assert with_steps(replace(trainer, max_sampling_rounds=3), 1000).steps == 20
    assert with_steps(RlTrainer(steps=7), 1000).steps == 7
    with pytest.raises(
        InputError, match=r"warmup_steps=9 is more than the 8 optimiser steps of .*epochs=2 on 32 tasks"
    ):
        with_steps(replace(trainer, warmup_steps=9), 32)


def test_a_budget_names_steps_epochs_and_tokens():
    sampling = SamplerConfig("transformers", max_tokens=1024)
    said = budget(RlTrainer(steps=30, prompts_per_step=32, group_size=8), sampling, 600, 10)
    assert said == (
        "budget: 30 steps (10 done) of 32 x 8 trajectories on 600 tasks (1.6 epochs), 7,680 in all, "
        "each of at most 1,024 tokens"
    )
    dynamic = RlTrainer(steps=30, prompts_per_step=32, group_size=8, max_sampling_rounds=3)
    assert "of up to 3 times 32 x 8 trajectories on 600 tasks (4.8 epochs), 23,040" in budget(dynamic, sampling, 600, 0)


def test_the_terms_that_fade_are_those_of_the_calls_that_count():
    terms = load_preset("flexible")["terms"]
    terms |= {"brief": {"term": "mine.py:brief", "weight": 0.1}, "names": {"term": "set", "weight": 0.0}}
    reward = RewardConfig("mine", terms=terms, anneal="run", anneal_until=0.8)

    def annealing(reward):
        return algorithm_settings(RlTrainer(), SamplerConfig("transformers"), reward=reward).shaping.anneal

    assert annealing(reward) == AnnealSettings(frozenset({"match", "valid"}), by_run=True, until=0.8)
    assert annealing(replace(reward, anneal="none")) is None
    assert annealing(RewardConfig("sparse", anneal="group")) is None
