"""The sampler and the limits that the settings of `sampler` describe."""

import torch

from mentor.config import SamplerConfig
from mentor.environment import RolloutLimits
from mentor.policy.ranks import Ranks
from mentor.sampling import SamplingParams, TransformersSampler
from mentor.stages.rollout_engine import open_sampler, rollout_limits
from tests.fixtures.samplers import drain, prompts, save_student
from tests.fixtures.students import make_small_student


def test_limits_of_a_rollout_are_those_of_the_settings():
    settings = SamplerConfig(
        name="transformers", max_turns=3, max_turn_tokens=20, max_tokens=300, max_invalid_turns=1, max_result_tokens=50
    )
    assert rollout_limits(settings) == RolloutLimits(3, 20, 300, 1, 50)


def test_an_embedded_sampler_shares_the_policys_model_and_is_closed_at_the_end(chat):
    model = make_small_student(chat)
    settings = SamplerConfig(name="transformers", max_running=2, max_tokens=100)
    with open_sampler(settings, "nowhere", chat.end_ids, torch.float32, model, Ranks()) as sampler:
        assert isinstance(sampler, TransformersSampler) and sampler.model is model and sampler.shared
        assert (sampler.max_running, sampler.max_tokens) == (2, 100)
        sampler.add_request("s", prompts(chat, 1)[0], SamplingParams(max_tokens=2))
        drain(sampler)
    assert sampler._sessions == {}


def test_without_a_policy_the_model_is_loaded_from_its_folder(chat, tmp_path):
    saved = save_student(chat, tmp_path)
    settings = SamplerConfig(name="transformers")
    with open_sampler(settings, tmp_path, chat.end_ids, torch.float32) as sampler:
        assert isinstance(sampler, TransformersSampler) and not sampler.shared
        assert torch.equal(sampler.model.get_input_embeddings().weight, saved.get_input_embeddings().weight)
