from mentor.config import PretrainStage
from mentor.stages.pretrain import make_conversations


def test_text_may_be_all_direct_answers():
    stage = PretrainStage(name="pretrain", conversations=8, direct_share=1.0, alternative_share=0.0)
    assert [len(trajectory.messages) for trajectory in make_conversations(stage, seed=0)] == [2] * 8
