"""What a form makes of a row: the conversation in the OpenAI chat shape, and what the row says of it."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

from mentor.chat.conversation import Message, ordered
from mentor.errors import InputError


class TraceError(InputError):
    """A row that is no trace. reason: a slug to count by."""

    def __init__(self, reason: str, problem: str) -> None:
        super().__init__(problem)
        self.reason = reason


@dataclass(frozen=True)
class Numbered:
    """A message and its number in the row, from 1; a system text from another column has number 0."""

    message: Message
    number: int


@dataclass(frozen=True)
class Trace:
    """A conversation. tools: the schemas that the row lists, None where it lists none. reward: of the run, if it says.

    messages: keep the ids and the keys that the row's own messages have; arguments are objects, contents text.
    """

    messages: list[Message]
    tools: list[dict[str, Any]] | None
    reward: float | None = None

    @property
    def calls(self) -> list[dict[str, Any]]:
        """The functions of all calls, in order."""
        return [call["function"] for message in self.messages for call in message.get("tool_calls", ())]

    def with_tools(self, tools: list[dict[str, Any]]) -> Trace:
        return replace(self, tools=tools)


def make_trace(messages: list[Numbered], tools: list[dict[str, Any]] | None, reward: float | None = None) -> Trace:
    """Check the order of the messages and match results with calls; what nobody answers at the end is left out.

    Raises ConversationError naming a message, TraceError where no turn of the assistant is to be trained.
    """
    if not messages:
        raise TraceError("empty", "the conversation holds no messages")
    last = max((place for place, entry in enumerate(messages) if _spoken(entry.message)), default=len(messages) - 1)
    kept = messages[: last + 1]
    done = ordered([entry.message for entry in kept], [entry.number for entry in kept])
    if all(message.get("weight") == 0 for message in done if message["role"] == "assistant"):
        raise TraceError("untrained", "all messages of the assistant have weight 0")
    return Trace(with_ids(done), tools, reward)


def with_ids(messages: list[Message]) -> list[Message]:
    """Give every call of ordered messages an id, a number where it came without one, which its result names."""
    made = 0
    done: list[Message] = []
    ids: list[str] = []  # of the calls whose results follow
    for message in messages:
        if message["role"] == "tool":
            message = {**message, "tool_call_id": ids.pop(0)}
        elif "tool_calls" in message:
            calls = [{"id": f"call_{number}", **call} for number, call in enumerate(message["tool_calls"], made)]
            made += len(calls)
            ids = [call["id"] for call in calls]
            message = {**message, "tool_calls": calls}
        done.append(message)
    return done


def _spoken(message: Message) -> bool:
    return message["role"] in ("assistant", "tool")
