"""The boxed answer of a text and of a final turn, for rewards, the teacher's verifier and evaluation alike."""

import asyncio
import time
from contextlib import closing
from pathlib import Path

import pytest

from mentor.evaluation.graders import AnswerGrader, QaGrader
from mentor.jsonl import JsonlWriter
from mentor.rewards import build_reward, load_preset
from mentor.rewards.boxed import answer_text, boxed_answer, extract_boxed, without_thinking
from mentor.rewards.correctness import Grader
from mentor.teachers.base import Rejection
from mentor.teachers.sampled import Verifier
from mentor.types import StopReason
from tests.unit.rewards.builders import make_trajectory


@pytest.mark.parametrize(
    ("text", "boxed"),
    [
        (r"so \boxed{5}.", "5"),
        (r"\boxed{1} then \boxed{\frac{1}{2}}", r"\frac{1}{2}"),
        (r"\boxed{\boxed{6}}", "6"),
        (r"\boxed{5} and \boxed{6", "5"),
        (r"\boxed{\{1, 2\}}", r"\{1, 2\}"),
        (r"\boxed{\left\{15\right.}", r"\left\{15\right."),
        (r"\boxed {7}", "7"),
        (r"}\boxed{5}}", "5"),
        (r"\boxed{ }", None),
        (r"\boxed{5} then \boxed{}", None),
        (r"\boxedmath{4}", None),
        ("none", None),
    ],
)
def test_extract_boxed(text: str, boxed: str | None) -> None:
    assert extract_boxed(text) == boxed


def test_extract_boxed_is_quick_on_many_open_boxes() -> None:
    started = time.perf_counter()
    assert extract_boxed(r"\boxed{" * 50_000) is None
    assert time.perf_counter() - started < 2


THINKING = [  # a final turn, what it says apart from thinking, and its answer
    (r"<think>is it \boxed{72}?</think>I cannot say.", "I cannot say.", None),
    (r"<think>is it \boxed{72}?", "", None),
    (r"Let me see. <think>\boxed{72}", "Let me see. ", None),
    (r"<think>\boxed{71}</think>\boxed{72}", r"\boxed{72}", "72"),
    (r"\boxed{72}<think>or \boxed{71}?", r"\boxed{72}", "72"),
    (r"opened by the template \boxed{71}</think>\boxed{72}", r"\boxed{72}", "72"),
    (r"\boxed{72}", r"\boxed{72}", "72"),
]


@pytest.mark.parametrize(("text", "said", "answer"), THINKING)
def test_thinking_is_no_answer(text: str, said: str, answer: str | None) -> None:
    assert without_thinking(text) == said
    trajectory = make_trajectory(text=text)
    assert answer_text(trajectory) == said and boxed_answer(trajectory) == answer
    cut = make_trajectory(text=text, stop_reason=StopReason.LENGTH)
    assert answer_text(cut) is None and boxed_answer(cut) is None


@pytest.mark.parametrize(("text", "said", "answer"), THINKING)
def test_reward_teacher_and_evaluation_agree_about_thinking(
    text: str, said: str, answer: str | None, tmp_path: Path
) -> None:
    trajectory = make_trajectory(text=text)
    right = answer == "72"
    with build_reward(**load_preset("sparse")) as reward, Grader() as grader:
        assert reward.score([trajectory])[0].total == float(right)
        with closing(JsonlWriter(tmp_path / "samples.jsonl")) as log:
            kept = asyncio.run(Verifier(grader, "first", log).outcome(trajectory.task, [trajectory]))
        assert not right or not isinstance(kept, Rejection)
        assert right or (isinstance(kept, Rejection) and kept.reason == "no_answer")
        assert AnswerGrader(grader).grade(trajectory).correct is right
    assert QaGrader().grade(trajectory).correct is right
