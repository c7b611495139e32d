"""A trajectory as turns to read."""

from dataclasses import replace

from mentor.reporting.page.turns import reference_turns, turns_of
from mentor.types import StopReason
from tests.fixtures.run_folder import (
    make_trajectory,
)


def test_a_conversation_has_every_call_with_its_outcome_and_reply() -> None:
    first, last = turns_of(make_trajectory())
    assert first["text"] == "Let me see." and last["calls"] == []
    assert first["calls"] == [
        {"name": "plus", "arguments": '{"a": 2}', "outcome": "unknown_tool", "reply": "no such tool"},
        {"name": "add", "arguments": '{"a": 2, "b": 3}', "outcome": "ok", "reply": "5"},
    ]
    cut = make_trajectory()
    cut = replace(cut, messages=cut.messages[:2], calls=[], stop_reason=StopReason.LENGTH)
    assert [call["outcome"] for call in turns_of(cut)[0]["calls"]] == ["not run", "not run"]
    assert [turn["role"] for turn in turns_of(make_trajectory())] == ["assistant", "assistant"]
    task = make_trajectory().task
    assert reference_turns(replace(task, reference=None)) is None
    assert reference_turns(replace(task, reference=()))[0]["calls"] == []


def test_a_renamed_tool_is_shown_as_it_was_called_with_its_own_name() -> None:
    made = make_trajectory()
    function = made.messages[1]["tool_calls"][1]["function"]
    function |= {"name": "add_stone", "arguments": {"a_leaf": 2, "b_card": 3}}
    unknown, renamed = turns_of(made)[0]["calls"]
    assert unknown["name"] == "plus"
    assert (renamed["name"], renamed["arguments"]) == ("add_stone (add)", '{"a_leaf": 2, "b_card": 3}')


def test_a_system_text_and_further_turns_of_the_user_stand_where_they_were_said() -> None:
    made = make_trajectory()
    system, before = {"role": "system", "content": "Be brief."}, {"role": "user", "content": "Hello?"}
    shown = turns_of(replace(made, messages=[system, before, *made.messages]))
    assert [turn["role"] for turn in shown] == ["system", "user", "user", "assistant", "assistant"]
    assert shown[0] == {"role": "system", "text": "Be brief.", "reasoning": "", "calls": []}
    assert [call["name"] for call in shown[3]["calls"]] == ["plus", "add"]
