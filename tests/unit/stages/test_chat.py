"""What `stage=chat` shows, and its commands."""

import io

import pytest
from rich.console import Console

from mentor.environment import Environment, RolloutLimits
from mentor.environment.dialogue import Dialogue, NoAnswer, RolloutDialogue
from mentor.stages.chat import HELP, NO_TOKENS, lines, talk
from mentor.tools import Toolbox, Toolset
from tests.fixtures.recording_sampler import RecordingSampler
from tests.fixtures.rollouts import END, call


@pytest.fixture
def dialogue(chat):
    sampler = RecordingSampler(chat, {"0": ["Let me see. " + call() + END, "It is 5." + END]})
    with Environment(sampler, Toolbox(Toolset.builtin("calculator")), chat, RolloutLimits(max_turns=2)) as environment:
        yield RolloutDialogue(environment)


def test_turns_calls_results_and_limits_are_shown_in_order(dialogue):
    said = list(lines(dialogue.ask("What is 2 plus 3?")))
    wanted = [("answer", "Let me see."), ("call", '-> add({"a": 2, "b": 3})'), ("result", "<- 5")]
    assert said == [*wanted, ("answer", "It is 5.")]
    dialogue.environment.sampler = RecordingSampler(dialogue.environment.chat, {"0": [call() + END] * 2})
    assert list(lines(dialogue.ask("Again?")))[-1] == ("stopped", "no answer: max_turns")


def test_commands_forget_show_the_trace_and_end(dialogue, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("sys.stdin", io.StringIO("/trace\nWhat is 2 plus 3?\n\n/trace\n/reset\n/quit\nnever read\n"))
    shown = io.StringIO()
    (answer,) = talk(dialogue, Console(file=shown, soft_wrap=True))
    text = shown.getvalue()
    assert dialogue.messages == [] and answer.task.question == "What is 2 plus 3?"
    assert text.startswith(HELP), "/trace before an answer"
    assert text.index("<- 5") < text.index("not trained") < text.index("forgotten")
    assert "What is 2 plus 3?<|im_end|>" in text


class Failing(Dialogue):
    """An endpoint that answers nothing."""

    def solve(self, task, number):
        raise NoAnswer("request_failed: no whole answer\nwithin 5 s")


def test_without_an_answer_the_conversation_goes_on_and_without_tokens_there_is_no_trace(monkeypatch):
    monkeypatch.setattr("sys.stdin", io.StringIO("What is 2 plus 3?\n/trace\n"))
    shown = io.StringIO()
    assert list(talk(Failing(), Console(file=shown, soft_wrap=True))) == []
    assert shown.getvalue() == f"no answer: request_failed: no whole answer within 5 s\n{NO_TOKENS}\n"
