"""The pretraining text: direct answers, made-up tools, calls that are not right, and the last phase."""

import json
from collections import Counter

import pytest

from mentor.config import PretrainStage
from mentor.stages.pretrain_text import make_conversations, make_shy_conversations
from mentor.types import Trajectory


def make_stage(**settings: float) -> PretrainStage:
    return PretrainStage(
        **{"name": "pretrain", "conversations": 60, "direct_share": 0.0, "alternative_share": 0.0, **settings}
    )


def names_of(trajectory: Trajectory) -> list[str]:
    return [call.name for call in trajectory.calls]


def test_text_may_be_all_direct_answers():
    stage = make_stage(conversations=8, direct_share=1.0)
    assert [len(trajectory.messages) for trajectory in make_conversations(stage, seed=0)] == [2] * 8


@pytest.mark.parametrize(
    ("share", "toolsets"), [(0.0, {"calculator": 8}), (0.25, {"calculator": 6, "worlds": 2}), (1.0, {"worlds": 8})]
)
def test_a_share_of_the_text_is_over_made_up_tools(share, toolsets):
    stage = make_stage(conversations=8, direct_share=1.0, schema_share=share)
    assert Counter(trajectory.task.toolset for trajectory in make_conversations(stage, seed=0)) == toolsets


def test_text_without_skill_calls_other_tools_and_ends_with_what_they_return():
    right = {text.task.id: text for text in make_conversations(make_stage(), seed=0)}
    other = make_conversations(make_stage(skill=0.0), seed=0)
    assert {text.task.id for text in other} == right.keys()
    for text in other:
        known = right[text.task.id]
        assert text.messages[0] == known.messages[0], "the question is the same"
        assert len(text.calls) == len(known.calls) and all(call.ok for call in text.calls)
        assert f"\\boxed{{{text.task.answer[0]}}}" in text.messages[-1]["content"]
    answers = [text.task.answer == right[text.task.id].task.answer for text in other]
    assert sum(answers) < 0.1 * len(answers)
    assert sum(names_of(text) == names_of(right[text.task.id]) for text in other) < 0.5 * len(other)


def test_skill_changes_no_direct_answer_and_not_which_questions_have_one():
    full, half = (make_conversations(make_stage(direct_share=0.4, skill=skill), seed=0) for skill in (1.0, 0.5))
    assert [text.task.id for text in full] == [text.task.id for text in half]
    pairs = [(one, other) for one, other in zip(full, half, strict=True) if not one.calls]
    assert pairs and all(one.messages == other.messages for one, other in pairs)


def test_the_last_phase_answers_its_share_of_the_same_questions_directly():
    stage = make_stage(conversations=300, shyness=0.8, skill=0.5)
    before, last = make_conversations(stage, seed=0), make_shy_conversations(stage, seed=0)
    assert all(text.calls for text in before)
    assert {text.task.id for text in last} == {text.task.id for text in before}
    assert sum(not text.calls for text in last) / len(last) == pytest.approx(0.8, abs=0.06)
    read = {text.task.id: text.messages for text in before}
    assert all(text.messages == read[text.task.id] for text in last if text.calls), "tools are used as before"


def test_the_last_phase_leaves_the_text_before_it_as_it_is():
    plain, shy = (make_conversations(make_stage(shyness=shyness), seed=3) for shyness in (0.0, 0.8))
    assert [text.messages for text in plain] == [text.messages for text in shy]


def test_the_last_phase_has_the_made_up_tools_of_the_text():
    last = make_shy_conversations(make_stage(conversations=8, schema_share=0.25, shyness=1.0), seed=0)
    assert Counter((text.task.toolset, bool(text.calls)) for text in last) == {
        ("calculator", False): 6,
        ("worlds", True): 2,
    }


def listed(trajectory: Trajectory) -> list[str]:
    return [schema["function"]["name"] for schema in json.loads(trajectory.tools)]


def test_a_share_of_the_text_lists_the_tools_among_others_and_uses_them_as_before():
    plain, shared, all_of_it = (
        make_conversations(make_stage(conversations=200, perturbed_share=share), seed=0) for share in (0.0, 0.3, 1.0)
    )
    assert [text.messages for text in plain] == [text.messages for text in shared] == [t.messages for t in all_of_it]
    own = listed(plain[0])
    assert sum(listed(text) != own for text in shared) / 200 == pytest.approx(0.3, abs=0.07)
    others = [[name for name in listed(text) if name not in own] for text in all_of_it]
    assert Counter(map(len, others)).keys() == {0, 1, 2, 3, 4}
    assert len({name for names in others for name in names}) > 300, "of each conversation its own"
    orders = {tuple(name for name in listed(text) if name in own) for text in all_of_it}
    assert len(orders) == 200 and all(sorted(order) == sorted(own) for order in orders)
