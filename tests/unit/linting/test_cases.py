"""The cases of the reward lint, as texts."""

import json
from typing import Any

import pytest

from mentor.linting.cases import MANY, CaseWriter, returning, usable, wrong_answer
from mentor.types import NamedCall, Task, ToolCall

EOS = "<end>"
CALLS = (ToolCall("multiply", {"a": 3, "b": 4}, "12"), ToolCall("add", {"a": 12, "b": 2}, "14"))
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
    assert cases["answer in a turn that still calls"].turns == [multiply, right + add, "Done."]
    assert cases["malformed calls before"].turns[0] == "{" + multiply
    assert [case.name for case in cases.values() if case.cut] == ["cut before the end"]
    assert {case.name for case in cases.values() if not case.teacher_used_tools} == {
        "right without tools, as the teacher", "wrong without tools, as the teacher"
    }  # fmt: skip


def test_turns_that_get_results_without_the_work():
    def text(name: str, a, b) -> str:
        return json.dumps({"name": name, "arguments": {"a": a, "b": b}})

    right = "The answer is \\boxed{14}."
    turns = {case.name: case.turns for case in CaseWriter(TASK, turn_text, EOS).cases()}
    assert turns["results guessed as arguments"] == [text("add", 12, 0), text("add", 14, 0), right]
    assert turns["answer guessed as an argument"] == [text("add", 14, 0), right]
    assert turns["number of the question returned before"][0] == text("add", 3, 0)
    assert len(turns["many arguments tried"]) == MANY + 1 and text("multiply", 3, 4) in turns["many arguments tried"]
    assert turns["many arguments tried in one turn"] == ["".join(turns["many arguments tried"][:-1]), right]
    assert turns["the same tools with nonsense"] == [text("multiply", 977, 977), text("add", 977, 977), right]
    assert turns["every result in two forms"][1] == text("multiply", 3.0, 4.0)
    assert {"repeats", "honest"} <= {case.name for case in CaseWriter(TASK, turn_text, EOS).cases(of_results=False)}
    call = ToolCall("find", {"where": ["a", {"b": 2}], "limit": 3})
    assert returning(call, 7) == ToolCall("find", {"where": [7, {"b": 0}], "limit": 0})


@pytest.mark.parametrize(
    ("gold", "wrong"), [("14", "15"), ("1,234", "1235"), ("2.5", "3.5"), ("Paris", "not Paris"), ("[1]", "not [1]")]
)
def test_wrong_answer(gold: str, wrong: str):
    assert wrong_answer(gold) == wrong


def test_tasks_without_calls_or_arguments_are_not_usable():
    named = Task("n", "q", ("1",), "", reference=(NamedCall("add"),))
    assert usable([TASK, named, Task("e", "q", ("1",), "", reference=()), Task("u", "q", ("1",), "")]) == [TASK]
