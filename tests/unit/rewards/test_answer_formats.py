"""The formats of the final answer, for rewards, the teacher's verifier and evaluation alike."""

import asyncio
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest

from mentor.config import TaskConfig
from mentor.errors import InputError
from mentor.evaluation.graders import AnswerGrader, QaGrader
from mentor.jsonl import JsonlWriter
from mentor.rewards import build_reward, load_preset
from mentor.rewards.answer_formats import FORMATS, answer_format, answer_text, final_answer, without_thinking
from mentor.rewards.correctness import Grader
from mentor.teachers.base import Rejection
from mentor.teachers.sampled import Verifier
from mentor.types import StopReason, Task
from tests.unit.rewards.builders import make_trajectory

READ = [  # a format, a final turn, and the answer in it
    ("hashes", "9 and 4 are 13.\n#### 13", "13"),
    ("hashes", "#### 12\nno:\n#### **1,300**\nas asked", "1,300"),
    ("hashes", "##### 13", None),
    ("hashes", "13", None),
    ("tag", "<answer>12</answer> or <answer> 13 </answer>.", "13"),
    ("tag", "<answer>13", None),
    ("tag", r"<answer>$\boxed{13}$</answer>", "13"),
    ("last_line", "I add 9 and 4.\n\n13\n", "13"),
    ("last_line", "I add.\n**Final answer:** 13", "13"),
    ("last_line", "The answer is $\\frac12$", "$\\frac12$"),
    ("last_line", "Answers differ", "Answers differ"),
    ("last_line", " \n ", None),
    ("json", '```json\n{"steps": [1], "answer": 13}\n```', "13"),
    ("json", '{"answer": 12} {"answer": {"x": 1}, "sure": true}', '{"x": 1}'),
    ("json", '{"result": {"final_answer": "13"}} {not: json}', "13"),
    ("json", r'{"answer": "\frac{1}{2}"}', r"\frac{1}{2}"),
    ("json", r'{"answer": "\\frac{1}{2}"}', r"\frac{1}{2}"),
    ("json", '{"answer": [1, "two", 3.5]}', "1, two, 3.5"),
    ("json", '{"answer": null}', None),
    ("json", '{"a":' * 5000, None),
    ("whole", " Ada Weir \n", "Ada Weir"),
    ("whole", " ", None),
    (r"re:Answer:\s*(\S+)", "Answer: 12, no. Answer: 13", "13"),
    (r"re:(?i)^result = (.*)$", "so\nRESULT = 13\nbye", "13"),
    (r"re:\d+", "9 and 4 are 13.", "13"),
    (r"re:(\d)?x", "x", None),
]


@pytest.mark.parametrize(("name", "text", "answer"), READ)
def test_an_answer_is_read_in_its_format(name: str, text: str, answer: str | None) -> None:
    assert answer_format(name).read(text) == answer
    trajectory = make_trajectory(text=f"<think>{text}</think>{text}")
    trajectory.task = replace(trajectory.task, answer_format=name)
    assert final_answer(trajectory) == answer


@pytest.mark.parametrize("name", [*FORMATS, r"re:Answer:\s*(.+)", r"re:(?i)^(?:final )?answer\s*=\s*\[([^\]]+)\]$"])
@pytest.mark.parametrize("answer", ["13", r"\frac{1}{2}", "Paris, France", '{"a": 1}'])
def test_what_is_written_is_read(name: str, answer: str) -> None:
    form = answer_format(name)
    assert form.read("Add them.\n" * (name != "whole") + form.write(answer)) == answer


def test_the_default_is_written_as_before() -> None:
    assert next(iter(FORMATS)) == Task("t", "?", ("1",), "").answer_format == TaskConfig.answer_format == "boxed"
    assert answer_format("boxed").write("13") == r"The answer is \boxed{13}."
    assert f"End with {answer_format('boxed').request}." == r"End with the final answer in \boxed{}."


@pytest.mark.parametrize(
    ("name", "message"),
    [
        (
            "hash",
            "task.answer_format=hash is not accepted, accepted: boxed, hashes, tag, last_line, json, whole or",
        ),
        ("re:(", "task.answer_format=re:( is no regular expression: missing )"),
    ],
)
def test_another_name_is_refused(name: str, message: str) -> None:
    with pytest.raises(InputError) as raised:
        answer_format(name)
    assert str(raised.value).startswith(message)


def test_an_answer_that_an_expression_cannot_hold_is_not_written() -> None:
    form = answer_format(r"re:= (\d+)")
    assert form.write("13") == "= 13" and form.put("13, 14") == "= 13, 14"
    with pytest.raises(InputError, match="no text was found that it reads 'Paris' from"):
        form.write("Paris")


def test_an_expression_that_does_not_end_reads_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("mentor.rewards.answer_formats.PATTERN_LIMIT_S", 0.05)
    assert answer_format(r"re:(x+x+)+(?=(y))\2z").read("x" * 5000) is None


def test_reward_teacher_and_evaluation_read_the_format_of_the_task(tmp_path: Path) -> None:
    for text, right in (("#### 72", True), ("#### 71", False), (r"\boxed{72}", False)):
        trajectory = make_trajectory(text=text)
        trajectory.task = replace(trajectory.task, answer_format="hashes")
        assert Task.from_dict(trajectory.task.to_dict()) == trajectory.task
        with build_reward(**load_preset("sparse")) as reward, Grader() as grader:
            assert reward.score([trajectory])[0].total == float(right)
            with closing(JsonlWriter(tmp_path / "samples.jsonl")) as log:
                kept = asyncio.run(Verifier(grader, "first", log).outcome(trajectory.task, [trajectory]))
            assert isinstance(kept, Rejection) is not right
            assert AnswerGrader(grader).grade(trajectory).correct is right
        assert QaGrader().grade(trajectory).correct is right


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
    assert answer_text(trajectory) == said and final_answer(trajectory) == answer
    cut = make_trajectory(text=text, stop_reason=StopReason.LENGTH)
    assert answer_text(cut) is None and final_answer(cut) is None


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
