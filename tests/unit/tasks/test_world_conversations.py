"""Conversations over made-up tools: their calls fit, their answers follow, their questions say every value."""

import json

import pytest
from jsonschema import Draft202012Validator

from mentor.calls.arguments import ArgumentValidator
from mentor.rewards.boxed import extract_boxed
from mentor.tasks.world_conversations import Phrasing, WorldCall, _sentence, generate_conversations
from mentor.tools.worlds import WorldTool, spoken


@pytest.fixture(scope="module")
def made():
    return generate_conversations(500, seed=0)


def calls_of(trajectory):
    """(name, arguments, result) of every call, from the messages."""
    made = [call["function"] for message in trajectory.messages for call in message.get("tool_calls", [])]
    shown = [json.loads(message["content"]) for message in trajectory.messages if message["role"] == "tool"]
    return [(call["name"], call["arguments"], result) for call, result in zip(made, shown, strict=True)]


def test_every_call_is_valid_against_the_schema_of_its_tool(made):
    for trajectory in made:
        schemas = {tool["function"]["name"]: tool["function"]["parameters"] for tool in json.loads(trajectory.tools)}
        calls = calls_of(trajectory)
        assert 1 <= len(calls) == len(trajectory.calls) <= 3 <= len(schemas) <= 8
        for name, arguments, _ in calls:
            Draft202012Validator(schemas[name]).validate(arguments)
            assert ArgumentValidator(schemas[name]).problem(arguments) is None


def test_the_answer_is_made_of_parts_of_the_results(made):
    for trajectory in made:
        shown = extract_boxed(trajectory.messages[-1]["content"])
        assert (shown,) == trajectory.task.answer
        found = [part for _, _, result in calls_of(trajectory) for part in _parts(result)]
        assert all(part in found for part in shown.split(", "))


def _parts(result):
    return [str(value) for value in (result.values() if isinstance(result, dict) else [result])]


def test_a_question_says_every_argument_except_an_id_that_is_passed_on(made):
    passed_on = 0
    for trajectory in made:
        question, before = trajectory.task.question, {}
        for _, arguments, result in calls_of(trajectory):
            for key, value in arguments.items():
                if before and value == before["id"]:
                    passed_on += 1
                else:
                    assert spoken(key) in question
                    assert isinstance(value, bool | dict | list | None) or str(value) in question
            before = result if isinstance(result, dict) else {}
    assert passed_on > 50


def test_the_same_conversations_come_of_the_same_arguments(made):
    assert [one.to_dict() for one in generate_conversations(3, seed=0)] == [one.to_dict() for one in made[:3]]
    others = {
        schema["function"]["name"] for one in generate_conversations(20, seed=1) for schema in json.loads(one.tools)
    }
    assert not others & {schema["function"]["name"] for one in made[:20] for schema in json.loads(one.tools)}


def test_a_call_is_said_in_words():
    tool = WorldTool("moveStone", "move", "stone", "created", {}, (), "stoneId", False, "key")
    values = {"stoneId": "AB-12", "unitPrice": 2.5, "part": {"mark": "red", "ok": True}, "rank": None, "sizes": [3, 4]}
    call = WorldCall(tool, values, {"id": "CD-34"}, "id", passed_on=False)
    plain = Phrasing("{name} {value}", "with", quoted=False, shuffled=False)
    assert _sentence(call, 0, plain, None) == (
        "Move the stone with stone id AB-12, unit price 2.5, part (mark red, ok yes), rank none, sizes 3 and 4."
    )
    linked = WorldCall(tool, {"stoneId": "AB-12", "mark": "red"}, {"id": "CD-34"}, "id", passed_on=True)
    quoted = Phrasing("{name}: {value}", "using", quoted=True, shuffled=False)
    assert _sentence(linked, 1, quoted, None) == 'Then move the stone of that id using mark: "red".'
