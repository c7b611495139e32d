from collections import Counter

import pytest

from mentor.config import PretrainStage
from mentor.stages.pretrain import make_conversations


def test_text_may_be_all_direct_answers():
    stage = PretrainStage(name="pretrain", conversations=8, direct_share=1.0, alternative_share=0.0)
    assert [len(trajectory.messages) for trajectory in make_conversations(stage, seed=0)] == [2] * 8


@pytest.mark.parametrize(
    ("share", "toolsets"), [(0.0, {"calculator": 8}), (0.25, {"calculator": 6, "worlds": 2}), (1.0, {"worlds": 8})]
)
def test_a_share_of_the_text_is_over_made_up_tools(share, toolsets):
    stage = PretrainStage(name="pretrain", conversations=8, direct_share=1.0, alternative_share=0.0, schema_share=share)
    assert Counter(trajectory.task.toolset for trajectory in make_conversations(stage, seed=0)) == toolsets
