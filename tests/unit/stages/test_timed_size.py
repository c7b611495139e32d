"""Where a size is timed, stored and read again, and where it is not."""

import json
from dataclasses import replace

import pytest
import torch

from mentor.config import DeepSpeedConfig, RlTrainer, SamplerConfig
from mentor.policy.micro_batch_size import SIZES
from mentor.policy.ranks import Ranks
from mentor.runs import RunFolder
from mentor.stages.timed_size import FILE, fitting_sizes, settle_micro_batches
from tests.fixtures.configs import rl_config
from tests.fixtures.policies import make_batch, make_policy


class Lines:
    def __init__(self):
        self.lines = []

    def message(self, text):
        self.lines.append(text)


def configured(tokens="auto", stage=0, **sampler):
    trainer = RlTrainer(micro_batch_tokens=tokens, deepspeed=DeepSpeedConfig(stage=stage))
    return replace(rl_config(), trainer=trainer, sampler=SamplerConfig("transformers", **sampler))


def settled(student, chat, folder, config):
    policy, logger = make_policy(student, chat, micro_batch_tokens=2048), Lines()
    settle_micro_batches(policy, config, RunFolder(folder, folder), logger, Ranks())
    return policy, logger.lines


def test_the_first_batch_is_timed_and_a_resumed_run_takes_what_was_found(student, chat, tmp_path):
    policy, lines = settled(student, chat, tmp_path, configured())
    assert not lines and not (tmp_path / FILE).exists()
    policy.see_first(make_batch())
    stored = json.loads((tmp_path / FILE).read_text())
    assert stored["micro_batch_tokens"] == policy.micro_batch_tokens == 1024  # all of the batch is in one
    policy.see_first(make_batch())
    again, more = settled(student, chat, tmp_path, configured())
    (tmp_path / FILE).write_text('{"micro_batch_tokens": 4096}')
    other, _ = settled(student, chat, tmp_path, configured())
    assert again.micro_batch_tokens == 1024 and other.micro_batch_tokens == 4096 and again.on_first_batch is None
    assert more == ["trainer.micro_batch_tokens=auto: 1,024, as timed before"]


@pytest.mark.parametrize("options", [{"deterministic": True}, {"stage": 2}, {"tokens": 512}])
def test_nothing_is_timed_where_it_must_repeat_or_cannot_be(student, chat, tmp_path, options):
    policy, lines = settled(student, chat, tmp_path, configured(**options))
    policy.see_first(make_batch())
    assert policy.micro_batch_tokens == 2048 and not list(tmp_path.iterdir())
    assert len(lines) == ("tokens" not in options)


@pytest.mark.skipif(torch.cuda.is_available(), reason="the memory of a GPU is planned there")
def test_sizes_that_do_not_fit_are_not_tried(student, chat):
    assert fitting_sizes(configured(), make_policy(student, chat)) == list(SIZES)
    policy = make_policy(student, chat)
    policy.model.config.intermediate_size = 2**22  # as if a layer saved gigabytes for a thousand tokens
    assert fitting_sizes(configured(), policy) == [SIZES[0]]
