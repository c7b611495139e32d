"""A teacher in this process scores what a student sampled, and sleeps on the CPU where it is told to."""

import pytest
import torch

from mentor.policy import MostLikely
from mentor.policy.teacher_model import TeacherModel
from tests.fixtures.policies import make_batch, make_policy
from tests.fixtures.students import make_small_student


def test_it_scores_as_the_model_does_and_lists_tokens_where_they_are_wanted(student, chat):
    frozen, batch = make_policy(student.requires_grad_(False), chat), make_batch()
    alone = TeacherModel(frozen).score(batch)
    assert torch.equal(alone.logprobs, frozen.logprobs(batch)) and alone.listed is alone.listed_logprobs is None
    scores = TeacherModel(frozen, MostLikely(4, 300)).score(batch)
    for found, expected in zip(scores, frozen.most_likely(batch, MostLikely(4, 300)), strict=True):
        assert torch.equal(found, expected)
    assert scores.listed.shape == (*batch.loss_mask.shape, 4)


@pytest.mark.parametrize("kind", ["cpu", pytest.param("cuda", marks=pytest.mark.gpu)])
def test_an_offloaded_one_is_on_the_device_only_while_it_scores(chat, kind):
    frozen, batch = make_policy(make_small_student(chat).to("cpu").requires_grad_(False), chat), make_batch()
    expected, seen, scoring = frozen.logprobs(batch), [], frozen.engine.module.forward
    frozen.engine.module.forward = lambda *tokens: seen.append(frozen.engine.device.type) or scoring(*tokens)
    scores = TeacherModel(frozen, device=torch.device(kind)).score(batch)
    assert torch.allclose(scores.logprobs, expected, atol=1e-5) and set(seen) == {kind}
    assert {value.device.type for value in frozen.model.parameters()} == {"cpu"} == {frozen.engine.device.type}
