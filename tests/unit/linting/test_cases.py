"""The cases of the reward lint, as texts."""

import json
from typing import Any

import pytest

from mentor.linting.cases import CaseWriter, usable, wrong_answer
from mentor.types import NamedCall, Task, ToolCall

EOS = "<end>"
CALLS = (ToolCall("multiply", {"a": 3, "b": 4}), ToolCall("add", {"a": 12, "b": 2}))
TASK = Task("t", "3 times 4, plus 2?", ("14",), "calculator", reference=CALLS)


def turn_text(message: dict[str, Any]) -> str:
    return "".join(json.dumps(call["function"]) for call in message["tool_calls"]) + EOS


def test_turns_by_hand():
    multiply, add = (
        '{"name": "multiply", "arguments": {"a": 3, "b": 4}}',
        '{"name": "add", "arguments": {"a": 12, "b": 2}}',
    )
    right, wrong = "The answer is \\boxed{14}.", "The answer is \\boxed{15}."
    cases = {case.name: case for case in CaseWriter(TASK, turn_text, EOS).cases()}
    assert cases["honest"].turns == [multiply, add, right]
    assert cases["honest, wrong answer"].turns == [multiply, add, wrong]
    assert cases["repeats"].turns == [multiply, add] * 5 + [right]
    assert cases["calls in thinking only"].turns == [f"<think>{multiply}{add}</think>{right}"]
    assert cases["box in a turn that still calls"].turns == [multiply, right + add, "Done."]
    assert cases["malformed calls before"].turns[0] == "{" + multiply
    assert [case.name for case in cases.values() if case.cut] == ["cut before the end"]
    assert {case.name for case in cases.values() if not case.teacher_used_tools} == {
        "right without tools, as the teacher", "wrong without tools, as the teacher"
    }  # fmt: skip


@pytest.mark.parametrize(
    ("gold", "wrong"), [("14", "15"), ("1,234", "1235"), ("2.5", "3.5"), ("Paris", "not Paris"), ("[1]", "not [1]")]
)
def test_wrong_answer(gold: str, wrong: str):
    assert wrong_answer(gold) == wrong


def test_tasks_without_calls_or_arguments_are_not_usable():
    named = Task("n", "q", ("1",), "", reference=(NamedCall("add"),))
    assert usable([TASK, named, Task("e", "q", ("1",), "", reference=()), Task("u", "q", ("1",), "")]) == [TASK]
