"""The cases of the reward lint, as texts."""

import json
from typing import Any

import pytest

from mentor.chat import ChatFormat, ParsedCall
from mentor.linting.cases import MANY, Case, CaseWriter, returning, usable, wrong_answer
from mentor.types import NamedCall, Task, ToolCall
from tests.fixtures.call_templates import CALL_TEMPLATES
from tests.fixtures.chat_templates import OPENS_THINKING, with_template

CALLS = (ToolCall("multiply", {"a": 3, "b": 4}, "12"), ToolCall("add", {"a": 12, "b": 2}, "14"))
TASK = Task("t", "3 times 4, plus 2?", ("14",), "calculator", reference=CALLS)
RIGHT, WRONG = "The answer is \\boxed{14}.", "The answer is \\boxed{15}."


def text(name: str, a: Any, b: Any) -> str:
    return f"<tool_call>\n{json.dumps({'name': name, 'arguments': {'a': a, 'b': b}})}\n</tool_call>"


MULTIPLY, ADD = text("multiply", 3, 4), text("add", 12, 2)


def written(chat: ChatFormat, of_results: bool = True) -> dict[str, Case]:
    return {case.name: case for case in CaseWriter(TASK, chat).cases(of_results)}


def test_turns_by_hand(chat):
    cases = written(chat)
    assert cases["honest"].turns == [MULTIPLY, ADD, RIGHT]
    assert cases["honest, wrong answer"].turns == [MULTIPLY, ADD, WRONG]
    assert cases["repeats"].turns == [MULTIPLY, ADD] * 5 + [RIGHT]
    assert cases["calls in thinking only"].turns == [f"<think>{MULTIPLY}{ADD}</think>{RIGHT}"]
    assert cases["answer in a turn that still calls"].turns == [MULTIPLY, RIGHT + ADD, "Done."]
    assert cases["malformed calls before"].turns[0] == MULTIPLY.replace("{", "{{", 1)
    assert [case.name for case in cases.values() if case.cut] == ["cut before the end"]
    assert {case.name for case in cases.values() if not case.teacher_used_tools} == {
        "right without tools, as the teacher", "wrong without tools, as the teacher"
    }  # fmt: skip


def test_turns_that_get_results_without_the_work(chat):
    turns = {name: case.turns for name, case in written(chat).items()}
    assert turns["results guessed as arguments"] == [text("add", 12, 0), text("add", 14, 0), RIGHT]
    assert turns["answer guessed as an argument"] == [text("add", 14, 0), RIGHT]
    assert turns["number of the question returned before"][0] == text("add", 3, 0)
    assert len(turns["many arguments tried"]) == MANY + 1 and MULTIPLY in turns["many arguments tried"]
    assert turns["many arguments tried in one turn"] == ["\n".join(turns["many arguments tried"][:-1]), RIGHT]
    assert turns["the same tools with nonsense"] == [text("multiply", 977, 977), text("add", 977, 977), RIGHT]
    assert turns["every result in two forms"][1] == text("multiply", 3.0, 4.0)
    assert {"repeats", "honest"} <= written(chat, of_results=False).keys()
    call = ToolCall("find", {"where": ["a", {"b": 2}], "limit": 3})
    assert returning(call, 7) == ToolCall("find", {"where": [7, {"b": 0}], "limit": 0})


def test_a_turn_closes_the_thinking_that_the_prompt_opens(chat):
    close = "\n</think>\n\n"
    cases = written(with_template(chat, OPENS_THINKING))
    assert cases["honest"].turns == [close + MULTIPLY, close + ADD, close + RIGHT]
    assert cases["no answer without tools"].turns == [close + "Done."]
    assert cases["answer in a turn that still calls"].turns[1] == close + RIGHT + ADD
    assert cases["calls in thinking only"].turns == [MULTIPLY + ADD + close + RIGHT]
    assert cases["answer in thinking only"].turns == [close + MULTIPLY, close + ADD, RIGHT + close + "Done."]


def test_what_a_syntax_cannot_spell_is_left_out(chat):
    whole = written(with_template(chat, CALL_TEMPLATES["json_list"]))
    assert whole.keys() == written(chat).keys() - {"answer in a turn that still calls", "calls after the answer"}
    python = with_template(chat, CALL_TEMPLATES["lfm2"])
    echoed = python.parse(python.encode(written(python)["answer in a call and its reply only"].turns[-2]))
    assert echoed.calls == (ParsedCall("multiply", {"a": RIGHT, "b": RIGHT}),)
    for name in CALL_TEMPLATES:
        one = with_template(chat, CALL_TEMPLATES[name])
        (broken,) = one.parse(one.encode(written(one)["malformed calls before"].turns[0])).calls
        assert broken.problem


@pytest.mark.parametrize(
    ("gold", "wrong"), [("14", "15"), ("1,234", "1235"), ("2.5", "3.5"), ("Paris", "not Paris"), ("[1]", "not [1]")]
)
def test_wrong_answer(gold: str, wrong: str):
    assert wrong_answer(gold) == wrong


def test_tasks_without_calls_or_arguments_are_not_usable():
    named = Task("n", "q", ("1",), "", reference=(NamedCall("add"),))
    assert usable([TASK, named, Task("e", "q", ("1",), "", reference=()), Task("u", "q", ("1",), "")]) == [TASK]
