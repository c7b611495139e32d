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
    task = make_trajectory().task
    assert reference_turns(replace(task, reference=None)) is None
    assert reference_turns(replace(task, reference=()))[0]["calls"] == []
