"""The order of a conversation: which message may follow which, and which call a tool's result answers.

Checked when a conversation of others is read, and when a stored one is. Only what an assistant wrote is ever trained,
so a message under the wrong role would teach the student another's words.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from mentor.errors import InputError

ROLES = ("system", "user", "assistant", "tool")

Message = dict[str, Any]


class ConversationError(InputError):
    """A conversation that makes no sense. reason: a slug to count by. The message names the message and its role."""

    def __init__(self, reason: str, number: int, role: object, problem: str) -> None:
        super().__init__(f"message {number} ({role}): {problem}")
        self.reason = reason


def check_roles(messages: Sequence[Any], numbers: Sequence[int] | None = None) -> None:
    """Raise ConversationError for the first message that has none of ROLES, and for a conversation without turns."""
    numbers = numbers or range(1, len(messages) + 1)
    for number, message in zip(numbers, messages, strict=True):
        role = message.get("role") if isinstance(message, Mapping) else None
        if role not in ROLES:
            raise ConversationError("unknown_role", number, role, f"accepted are the roles {', '.join(ROLES)}")
    roles = [message["role"] for message in messages]
    for role in ("user", "assistant"):
        if role not in roles:
            raise ConversationError(
                f"no_{role}", len(roles), roles[-1] if roles else None, f"is the last, none is {role}"
            )


def ordered(messages: Sequence[Mapping[str, Any]], numbers: Sequence[int] | None = None) -> list[Message]:
    """Return the messages, those of each turn's results in the order of its calls and with the name of their tool.

    A result answers the call of its id. Where one of the two has no id, it answers the first unanswered call of its
    name, or, without a name, the first. Only the last turn may leave its calls without any result.
    numbers: what errors call the messages; from 1 where it is None.
    Raises ConversationError for a role, a result or an order that makes no sense.
    """
    check_roles(messages, numbers)
    numbers = numbers or range(1, len(messages) + 1)
    done: list[Message] = []
    turn: _Turn | None = None  # the assistant's, until another message than a result follows
    for number, message in zip(numbers, messages, strict=True):
        role = message["role"]
        if role == "tool":
            if turn is None or not turn.calls:
                raise ConversationError("unknown_result", number, role, "is a result, and no call stands before it")
            turn.answer(number, message)
            continue
        if turn is not None:
            done += turn.results(before=f"message {number} ({role})")
            if role == "assistant" and not turn.calls:
                raise ConversationError(
                    "order", number, role, f"follows message {turn.number}, an assistant's turn too"
                )
        turn = _Turn(number, message) if role == "assistant" else None
        done.append(dict(message))
    return done if turn is None else done + turn.results(before=None)


class _Turn:
    """An assistant's turn whose results are being read."""

    def __init__(self, number: int, message: Mapping[str, Any]) -> None:
        self.number = number
        self.calls: list[Mapping[str, Any]] = message.get("tool_calls") or []
        self._results: list[Message | None] = [None] * len(self.calls)

    def answer(self, number: int, message: Mapping[str, Any]) -> None:
        place = self._place(number, message)
        if self._results[place] is not None:
            raise ConversationError("unknown_result", number, "tool", f"is a second result of {self._said(place)}")
        self._results[place] = {**message, "name": self.calls[place]["function"]["name"]}

    def _place(self, number: int, message: Mapping[str, Any]) -> int:
        """Find the call that a result answers."""
        given = message.get("tool_call_id")
        ids = [call.get("id") for call in self.calls]
        left = [place for place, result in enumerate(self._results) if result is None]
        if given is not None and None not in ids:
            if given not in ids:
                problem = f"answers call {given!r}, which message {self.number} does not make; it makes {ids}"
                raise ConversationError("unknown_result", number, "tool", problem)
            return next((place for place in left if ids[place] == given), ids.index(given))
        names = [call["function"]["name"] for call in self.calls]
        name = message.get("name")
        if name and name not in names:
            problem = f"is a result of {name!r}, and message {self.number} calls {', '.join(names)}"
            raise ConversationError("unknown_result", number, "tool", problem)
        found = [place for place in left if not name or names[place] == name]
        if not found:
            problem = f"is one result too many for the {len(names)} calls of message {self.number}"
            raise ConversationError("unknown_result", number, "tool", problem)
        return found[0]

    def results(self, before: str | None) -> list[Message]:
        """Return the results in the order of the calls. before: the message that follows, None at the end."""
        found = [result for result in self._results if result is not None]
        if len(found) < len(self.calls) and (found or before is not None):
            place = self._results.index(None)
            where = f"before {before}" if before else "and others of its turn have"
            raise ConversationError(
                "missing_result", self.number, "assistant", f"{self._said(place)} has no result {where}"
            )
        return found

    def _said(self, place: int) -> str:
        call = self.calls[place]
        known = f" (id {call['id']})" if call.get("id") else ""
        return f"call {place + 1}, {call['function']['name']!r}{known},"
