"""A user's questions to an endpoint over real HTTP: asked with tools and what was said, within caps, kept nowhere."""

import json
import tempfile
from pathlib import Path

import pytest

from mentor.config import OpenaiTeacher
from mentor.environment.dialogue import NoAnswer
from mentor.errors import ConfigError, StageError
from mentor.teachers.openai import EndpointTeacher
from mentor.tools import Toolbox, Toolset
from mentor.types import StopReason
from tests.fixtures.openai_server import Server, call_message, completion

SECRET = "sk-very-secret-0123456789"
ANSWER = {"role": "assistant", "content": "It is 3.", "reasoning_content": "Easy."}


class AddingServer(Server):
    """Calls add for every question and says 3 then; `turn` replaces its call. bodies: of all requests."""

    def __init__(self):
        super().__init__(self._respond)
        self.bodies, self.turn = [], call_message("add", {"a": 1, "b": 2})

    def _respond(self, handler, content):
        self.bodies.append(json.loads(content))
        asks = self.bodies[-1]["messages"][-1]["role"] == "user"
        if self.turn is None:
            handler.reply(400, f"not with {handler.headers['Authorization']}".encode())
        else:
            handler.reply(200, completion(self.turn if asks else ANSWER))


def opened(server, **settings):
    teacher = OpenaiTeacher("openai", base_url=server.base_url, model="m", **settings)
    return EndpointTeacher(teacher).open_dialogue(Toolbox(Toolset.builtin("calculator")))


@pytest.fixture(autouse=True)
def scratch(tmp_path, monkeypatch) -> Path:
    """The folder of temporary files, which has to be empty after each test."""
    monkeypatch.setenv("OPENAI_API_KEY", SECRET)
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    return tmp_path


def test_a_question_is_asked_as_in_a_rollout_with_what_was_said_and_nothing_is_kept(scratch):
    with AddingServer() as server, opened(server, instruction="Use tools.", temperature=0.7) as dialogue:
        first = dialogue.ask("What is 1 plus 2?")
        assert first.stop_reason is StopReason.ANSWERED and first.tokens is None and dialogue.chat is None
        assert [call.ok for call in first.calls] == [True] and first.messages[2]["content"] == "3"
        second = dialogue.ask("And again?")
        dialogue.reset()
        third = dialogue.ask("What is 1 plus 2?")
        assert any(scratch.iterdir()), "its answers are stored while it is open"
    assert not any(scratch.iterdir())
    assert len(server.bodies) == 6, "a question that is asked again is no repeated request"
    assert [body["seed"] for body in server.bodies] == [0, 0, 1, 1, 2, 2] and server.bodies[0]["temperature"] == 0.7
    assert {tool["function"]["name"] for tool in server.bodies[0]["tools"]} == set(Toolset.builtin("calculator").names)
    system, question, call, result, answer, further = server.bodies[2]["messages"]
    assert system == {"role": "system", "content": "Use tools."} and question["content"] == "What is 1 plus 2?"
    assert call["tool_calls"][0]["id"] == result["tool_call_id"] and result["content"] == "3"
    assert answer == {"role": "assistant", "content": "It is 3."} and further["content"] == "And again?"
    ids = [message["tool_call_id"] for message in second.messages if message["role"] == "tool"]
    assert ids == ["call_0", "call_1"] and third.task.earlier == ()


def test_limits_are_kept_and_what_is_no_answer_leaves_the_conversation_as_it_was():
    with AddingServer() as server, opened(server, max_turns=1, max_calls_per_turn=2) as dialogue:
        assert dialogue.ask("What is 1 plus 2?").stop_reason is StopReason.MAX_TURNS and dialogue.messages == []
        server.turn = call_message("add", {"a": 1, "b": 2}, times=3)
        with pytest.raises(NoAnswer, match=r"too_many_calls: turn 1 made 3 calls, teacher.max_calls_per_turn=2"):
            dialogue.ask("What is 1 plus 2?")
        server.turn = None
        with pytest.raises(NoAnswer, match=r"request_refused: HTTP 400: not with Bearer \*\*\*"):
            dialogue.ask("What is 1 plus 2?")
        server.turn = ANSWER
        assert dialogue.ask("What is 1 plus 2?").messages[-1]["content"] == "It is 3."


def test_a_cap_and_a_missing_key_are_one_line(monkeypatch, scratch):
    with AddingServer() as server, opened(server, max_total_tokens=100) as dialogue:
        with pytest.raises(StageError, match=r"teacher.max_total_tokens=100 is reached \(120 tokens\)"):
            dialogue.ask("What is 1 plus 2?")
        assert len(server.bodies) == 1
        monkeypatch.delenv("OPENAI_API_KEY")
        with pytest.raises(ConfigError, match="OPENAI_API_KEY"), opened(server):
            raise AssertionError
    assert not any(scratch.iterdir())
