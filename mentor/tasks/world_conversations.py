"""Conversations over made-up tools: a question, the 1 to 3 calls that answer it, their results, the answer.

`stage=pretrain` mixes them into its text (`stage.schema_share`). Each has its own world. The question names in
words the tools to use and every argument, except an id that an earlier call returns.
"""

from __future__ import annotations

import random
from dataclasses import dataclass
from typing import Any

from mentor.calls.schemas import schemas_text
from mentor.rewards.answer_formats import answer_format
from mentor.tasks.programs import Number, number_text
from mentor.tools.worlds import WorldTool, draw_object, draw_world, shown_result, spoken
from mentor.types import CallRecord, StopReason, Task, TaskTools, ToolCall, Trajectory, kept_result


@dataclass(frozen=True)
class WorldCall:
    """A call of a world's tool. passed_on: it takes the id that the call before returned."""

    tool: WorldTool
    arguments: dict[str, Any]
    result: dict[str, Any] | Number
    asked: str  # the part of the result that the question asks for
    passed_on: bool

    @property
    def result_text(self) -> str:
        """The result as the model is shown it."""
        return shown_result(self.result)

    @property
    def answer(self) -> str:
        """The part of the result that the question asks for, as text."""
        value = self.result[self.asked] if isinstance(self.result, dict) else self.result
        return value if isinstance(value, str) else number_text(value)


@dataclass(frozen=True)
class Phrasing:
    """How one question says things. `pair` has `{name}` and `{value}`."""

    pair: str
    given: str
    quoted: bool
    shuffled: bool

    @classmethod
    def draw(cls, rng: random.Random) -> Phrasing:
        pair = rng.choice(("{name} {value}", "{name} {value}", "{name} = {value}", "{name}: {value}"))
        return cls(pair, rng.choice(("with", "with", "using", "for")), rng.random() < 0.5, rng.random() < 0.3)


def generate_conversations(size: int, seed: int, split: str = "pretrain", form: str = "boxed") -> list[Trajectory]:
    """Generate `size` conversations, the same for the same arguments; a smaller size gives the first of them.

    Two splits, and two seeds, draw their worlds independently of each other.
    """
    return [_conversation(f"{split}/{seed}/{index}", split, form) for index in range(size)]


def _conversation(key: str, split: str, form: str) -> Trajectory:
    rng = random.Random(f"conversation/{key}")
    tools = draw_world(key)
    calls: list[WorldCall] = []
    for tool in rng.sample(tools, rng.choices((1, 2, 3), (0.55, 0.3, 0.15))[0]):
        calls.append(_call(tool, calls[-1] if calls else None, rng))
    asked = [call for call, after in zip(calls, [*calls[1:], None], strict=True) if not (after and after.passed_on)]
    answer = ", ".join(call.answer for call in asked)
    schemas = [tool.schema for tool in tools]
    task = Task(
        id=f"worlds-{key.replace('/', '-')}",
        question=_question(calls, asked, rng),
        answer=(answer,),
        toolset="worlds",
        split=split,
        reference=tuple(ToolCall(call.tool.name, call.arguments, kept_result(call.result_text)) for call in calls),
        tools=TaskTools(None, schemas),
        answer_format=form,
    )
    records = [CallRecord(turn, call.tool.name, call.arguments, ok=True) for turn, call in enumerate(calls)]
    return Trajectory(task, _messages(task, calls), schemas_text(schemas), StopReason.ANSWERED, records)


def _messages(task: Task, calls: list[WorldCall]) -> list[dict[str, Any]]:
    """The conversation in the OpenAI chat shape, one call a turn."""
    messages: list[dict[str, Any]] = [{"role": "user", "content": task.question}]
    for turn, call in enumerate(calls):
        name, call_id = call.tool.name, f"call_{turn}"
        made = {"id": call_id, "type": "function", "function": {"name": name, "arguments": call.arguments}}
        messages.append({"role": "assistant", "content": "", "tool_calls": [made]})
        messages.append({"role": "tool", "tool_call_id": call_id, "name": name, "content": call.result_text})
    return [*messages, {"role": "assistant", "content": answer_format(task.answer_format).write(task.answer[0])}]


def _call(tool: WorldTool, before: WorldCall | None, rng: random.Random) -> WorldCall:
    """Call a tool with drawn arguments, among them the id that the call before returned where both have one."""
    arguments = draw_object(tool.parameters, tool.parameters.get("$defs", {}), rng)
    earlier = before.result if before is not None else None
    passed_on = tool.identifier is not None and isinstance(earlier, dict)
    if tool.identifier is not None and isinstance(earlier, dict):
        arguments[tool.identifier] = earlier["id"]
    result = tool.run(arguments)
    asked = rng.choice(tool.attributes) if tool.attributes else ("total" if tool.returns == "total" else "id")
    return WorldCall(tool, arguments, result, asked, passed_on)


# --- the question in words -------------------------------------------------------------------------------------------


def _question(calls: list[WorldCall], asked: list[WorldCall], rng: random.Random) -> str:
    phrasing = Phrasing.draw(rng)
    sentences = [_sentence(call, index, phrasing, rng) for index, call in enumerate(calls)]
    parts = [f"the {call.asked} of the {call.tool.noun}" for call in asked]
    wanted = " and ".join(parts)
    last = rng.choice((f"What {'is' if len(parts) == 1 else 'are'} {wanted}?", f"Give {wanted}."))
    return " ".join([*sentences, last])


def _sentence(call: WorldCall, index: int, phrasing: Phrasing, rng: random.Random) -> str:
    """Say a call: `Find the riverbox with weight 12, color "red".`"""
    said = {name: value for name, value in call.arguments.items() if not call.passed_on or name != call.tool.identifier}
    pairs = [_pair(name, value, phrasing) for name, value in said.items()]
    if phrasing.shuffled:
        rng.shuffle(pairs)
    opening = f"{call.tool.verb} the {call.tool.noun}"
    opening = opening.capitalize() if not index else f"{'Then' if call.passed_on else 'Also'} {opening}"
    link = " of that id" if call.passed_on else ""
    return f"{opening}{link}{f' {phrasing.given} ' if pairs else ''}{', '.join(pairs)}."


def _pair(name: str, value: Any, phrasing: Phrasing) -> str:
    return phrasing.pair.format(name=spoken(name), value=_said(value, phrasing))


def _said(value: Any, phrasing: Phrasing) -> str:
    """Write a value in words; the fields of an object stand in brackets."""
    if isinstance(value, dict):
        return f"({', '.join(_pair(name, below, phrasing) for name, below in value.items())})"
    if isinstance(value, list):
        return " and ".join(_said(below, phrasing) for below in value)
    if value is None or isinstance(value, bool):
        return {None: "none", True: "yes", False: "no"}[value]
    if isinstance(value, str):
        return f'"{value}"' if phrasing.quoted else value
    return number_text(value)
