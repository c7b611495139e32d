"""What `stage=chat` shows, and its commands."""

import io

import pytest
from rich.console import Console

from mentor.environment import Environment, RolloutLimits
from mentor.environment.dialogue import Dialogue
from mentor.stages.chat import HELP, lines, talk
from mentor.tools import Toolbox, Toolset
from tests.fixtures.recording_sampler import RecordingSampler
from tests.fixtures.rollouts import END, call


@pytest.fixture
def dialogue(chat):
    sampler = RecordingSampler(chat, {"0": ["Let me see. " + call() + END, "It is 5." + END]})
    with Environment(sampler, Toolbox(Toolset.builtin("calculator")), chat, RolloutLimits(max_turns=2)) as environment:
        yield Dialogue(environment)


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
