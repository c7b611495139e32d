"""Parse an assistant turn into reasoning, text and calls, in the call syntax of its chat template."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from mentor.chat.parsed import ParsedCall, Schemas
from mentor.chat.syntax import HERMES, CallSyntax
from mentor.chat.tags import unescape, unescape_value


@dataclass(frozen=True)
class AssistantTurn:
    """content: the text outside of reasoning and calls. hidden_calls: how many calls the reasoning holds, never run."""

    content: str
    reasoning: str
    calls: tuple[ParsedCall, ...]
    hidden_calls: int = 0

    @classmethod
    def from_message(cls, message: dict[str, Any], syntax: CallSyntax = HERMES) -> AssistantTurn:
        """Read an assistant message in the OpenAI shape."""
        functions = [call["function"] for call in message.get("tool_calls") or []]
        reasoning = (message.get("reasoning_content") or "").strip()
        return cls(
            content=(message.get("content") or "").strip(),
            reasoning=reasoning,
            calls=tuple(ParsedCall(function["name"], function["arguments"]) for function in functions),
            hidden_calls=count_mentions(reasoning, syntax),
        )

    def unescaped(self) -> AssistantTurn:
        """The turn that was read from an escaped text, with the tags of its texts together again."""
        calls = (ParsedCall(c.name and unescape(c.name), unescape_value(c.arguments), c.problem) for c in self.calls)
        return AssistantTurn(unescape(self.content), unescape(self.reasoning), tuple(calls), self.hidden_calls)


def parse_turn(
    text: str, syntax: CallSyntax = HERMES, thinking_open: bool = False, schemas: Schemas | None = None
) -> AssistantTurn:
    """Split the text of one assistant turn (end-of-turn token removed). A call inside reasoning is not a call.

    thinking_open: the prompt opened the thinking, so the text begins inside the reasoning. schemas: of the tools.
    """
    reasoning, visible = split_reasoning(text, syntax, thinking_open)
    content, position = [], 0
    found = syntax.find(visible, schemas)
    for piece in found:
        content.append(visible[position : piece.start])
        position = piece.end
    content.append(visible[position:])
    calls = tuple(piece.call for piece in found)
    return AssistantTurn(
        syntax.without_frame("".join(content)).strip(), reasoning, calls, count_mentions(reasoning, syntax)
    )


def split_reasoning(text: str, syntax: CallSyntax = HERMES, thinking_open: bool = False) -> tuple[str, str]:
    """Return (reasoning, rest), split at the syntax's marks of thinking, `<think>` and `</think>` in most.

    A mark inside the arguments of a well-formed call is part of the call.
    """
    return syntax.thinking.split(text, _outside(text, syntax), thinking_open)


def leaves_thinking_open(text: str, syntax: CallSyntax = HERMES, thinking_open: bool = False) -> bool:
    """Whether what follows a text would be reasoning still."""
    return syntax.thinking.left_open(_outside(text, syntax), thinking_open)


def count_mentions(reasoning: str, syntax: CallSyntax) -> int:
    """Count what looks like a call inside reasoning."""
    return len(syntax.mention.findall(reasoning))


def _outside(text: str, syntax: CallSyntax) -> str:
    """A text with its calls blanked where marks of thinking stand in it."""
    return _blank_calls(text, syntax) if syntax.thinking.stands_in(text) else text


def _blank_calls(text: str, syntax: CallSyntax) -> str:
    """Replace the well-formed calls of a text by as many spaces."""
    pieces, position = [], 0
    for found in syntax.find(text):
        if found.call.problem is None:
            pieces += [text[position : found.start], " " * (found.end - found.start)]
            position = found.end
    return "".join([*pieces, text[position:]])
