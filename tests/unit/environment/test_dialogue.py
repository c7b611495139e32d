"""A conversation: what was said before is in the prompt, an exchange without an answer is not."""

from mentor.environment import Environment, RolloutLimits
from mentor.environment.dialogue import RolloutDialogue
from mentor.tools import Toolbox, Toolset
from mentor.types import StopReason
from tests.fixtures.recording_sampler import RecordingSampler
from tests.fixtures.rollouts import END, call


def test_a_further_question_sees_what_was_said_and_none_that_a_limit_ended(chat):
    limits = RolloutLimits(max_turns=2)
    with Environment(RecordingSampler(chat, {}), Toolbox(Toolset.builtin("calculator")), chat, limits) as environment:
        dialogue = RolloutDialogue(environment)

        def ask(question: str, *turns: str):
            environment.sampler = RecordingSampler(chat, {"0": list(turns)})
            return dialogue.ask(question)

        first = ask("What is 2 plus 3?", call() + END, "It is 5." + END)
        assert [message["role"] for message in dialogue.messages] == ["user", "assistant", "tool", "assistant"]
        assert first.messages[2]["content"] == "5" and first.stop_reason is StopReason.ANSWERED
        cut = ask("And then?", call() + END, call() + END)
        assert cut.stop_reason is StopReason.MAX_TURNS and dialogue.messages == first.messages
        second = ask("And 1 more?", "6" + END)
        assert second.task.earlier == tuple(first.messages)
        prompt = chat.decode(second.tokens.token_ids)
        assert "It is 5." in prompt and "And 1 more?" in prompt and "And then?" not in prompt
        assert first.task.id != second.task.id
        dialogue.reset()
        assert ask("What is 2 plus 3?", "5" + END).task.earlier == ()
