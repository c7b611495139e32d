"""Rows whose gold is calls: xLAM, APIGen, Hammer, ToolACE, ToolRL, API-Bank, When2Call. Told apart by their columns.

A row has a question, its own tools and the calls that are right; none is right where no tool fits. The calls may be a
list, its JSON text, or an assistant's text that holds them: in `<tool_call>` or `<TOOLCALL>`, after `API-Request:`, or
as Python in square brackets. A text without any is an answer in words: then no call is right. Of a conversation the
first turn of the assistant is asked for.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

from mentor.calls.schemas import Schema
from mentor.errors import InputError
from mentor.rows import Row, text_field, without_nulls
from mentor.rows.row_fields import optional_field
from mentor.rows.row_sources import fills_nulls
from mentor.tasks.prompts import Message, read_prompt
from mentor.tasks.row_calls import said_calls
from mentor.tasks.row_kind import RowKind, own_tools
from mentor.traces.listings import tools_in_text
from mentor.traces.trace import TraceError
from mentor.types import TaskTools, ToolCall

QUESTIONS = ("query", "question", "prompt", "instruction", "input")
CALLS = (
    "answers",
    "calls",
    "gold_calls",
    "ground_truth",
    "reward_model.ground_truth",
    "tool_calls",
    "answer",
    "output",
)
CONVERSATIONS = ("messages", "conversations", "conversation")
ASSISTANT = ("assistant", "gpt", "function_call", "tool_call")
_DIALOGUE = re.compile(r"\A\*\*Dialogue Records History\*\*\s*<user>(.*?)</user>\s*\Z", re.DOTALL)


class CallRows(RowKind):
    """A row is read by the keys it has; the tools are its own, from a column or from the system text."""

    def opened(self, row: Row, place: str) -> Row:
        """With a conversation cut behind what the first turn of the assistant answers, and that turn as its calls."""
        opened: Row = without_nulls(row) if fills_nulls(place) else row
        column = next((name for name in CONVERSATIONS if isinstance(opened.get(name), list)), None)
        if column is None:
            return opened
        messages = opened[column]
        roles = [
            message.get("role", message.get("from")) if isinstance(message, Mapping) else None for message in messages
        ]
        first = next((number for number, role in enumerate(roles) if role in ASSISTANT), None)
        if first is None:
            return opened | {"prompt": messages}
        before = messages[:first]
        if isinstance(opened.get("system"), str) and "system" not in roles[:first]:
            before = [{"role": "system", "content": opened["system"]}, *before]
        said = messages[first]
        calls = said.get("tool_calls") or said.get("content", said.get("value"))
        return {key: value for key, value in opened.items() if key not in QUESTIONS} | {
            "prompt": before,
            "calls": calls,
        }

    def prompt(self, row: Row, place: str) -> tuple[tuple[Message, ...], str]:
        name = next((name for name in QUESTIONS if name in row), None)
        if name is None:
            raise InputError(
                f"{place}: no question, given: {', '.join(map(repr, row))}; accepted: {', '.join(QUESTIONS)}"
            )
        if name == "instruction" and str(row.get("input", "")).strip():
            asked = text_field(row, "input", place)
            return _without_tools(({"role": "system", "content": text_field(row, "instruction", place)},), asked)
        return _without_tools(*read_prompt(row[name], place, name))

    def answer(self, row: Row, place: str) -> tuple[str, ...]:
        return ()

    def tools(self, row: Row, place: str) -> TaskTools | None:
        listed = own_tools(row, place)
        return listed if listed is not None else _tools_in_prompt(row, place)

    def calls(self, row: Row, place: str) -> tuple[ToolCall, ...] | None:
        if isinstance(row.get("correct_answer"), str) and isinstance(row.get("answers"), Mapping):  # When2Call
            chosen = row["correct_answer"]
            return said_calls(row["answers"].get(chosen), f"{place}: answers.{chosen}") if chosen == "tool_call" else ()
        name = next((name for name in CALLS if optional_field(row, name) is not None), None)
        if name is None:
            raise InputError(
                f"{place}: no right calls, given: {', '.join(map(repr, row))}; accepted: {', '.join(CALLS)}"
            )
        return said_calls(optional_field(row, name), f"{place}: {name}")


# --- tools in the prompt ---------------------------------------------------------------------------------------------


def _without_tools(earlier: tuple[Message, ...], question: str) -> tuple[tuple[Message, ...], str]:
    """Cut the listing of tools out of a system text, and ToolRL's marks off the question."""
    dialogue = _DIALOGUE.match(question.strip())
    if earlier and earlier[0]["role"] == "system":
        rest = _listing(earlier[0]["content"])[1]
        earlier = ({**earlier[0], "content": rest}, *earlier[1:]) if rest else earlier[1:]
    return earlier, dialogue[1].strip() if dialogue else question


def _tools_in_prompt(row: Row, place: str) -> TaskTools | None:
    prompt = row.get("prompt", row.get("instruction"))
    first = prompt[0] if isinstance(prompt, list) and prompt else {"content": prompt}
    text = first.get("content", first.get("value")) if isinstance(first, Mapping) else None
    try:
        schemas = _listing(text)[0] if isinstance(text, str) else None
    except TraceError as error:
        raise InputError(f"{place}: {error}") from None
    return TaskTools(None, schemas) if schemas else None


_NUMBERED = re.compile(r"^\s*\d+\. Name: (.+)\nDescription: (.*)\nParameters: (\{.*\})[ \t]*$\n?", re.MULTILINE)


def _listing(text: str) -> tuple[list[Schema] | None, str]:
    """The schemas in a text and the rest of it: JSON, or ToolRL's numbered names, descriptions and parameters."""
    numbered = list(_NUMBERED.finditer(text))
    if not numbered:
        return tools_in_text(text)
    listed = [{"name": found[1].strip(), "description": found[2], "parameters": found[3]} for found in numbered]
    tools = own_tools({"tools": listed}, "system text")
    return (None if tools is None else tools.schemas), _NUMBERED.sub("", text).strip()
