"""Raw rows `{id, response, eos, ground_truth, teacher_tools}` as trajectories, so that every preset scores them.

The `response` is the decoded assistant side of a conversation in the Qwen form: turns end with `eos` and begin with
`<|im_start|>role`, calls stand in `<tool_call>`, tool replies in `<tool_response>` (plain, or in the released form
`{the call}`, `result:`, `output:`, `error:`). A row may carry `tools`, the JSON schemas of its tools; otherwise they
are the twelve of the released calculator. Thinking is ignored, and text in a tool reply is never the model's.

A row with `gold_calls`, a list of `{name, arguments}` that are right for its `tools`, is judged by its calls and needs
neither `ground_truth` nor `teacher_tools`.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import takewhile
from typing import Any

import jsonschema

from mentor.calls.gold import gold_calls
from mentor.calls.schemas import check_schema
from mentor.chat.parse import split_reasoning
from mentor.chat.syntax import HERMES, ParsedCall
from mentor.errors import InputError
from mentor.rewards.released import VALID_TOOLS
from mentor.rewards.tool_replies import reply_error, reply_name
from mentor.types import CallError, CallRecord, NamedCall, StopReason, Task, ToolCall, Trajectory

_HEADER = re.compile(r"<\|im_start\|>\s*(\w+)[ \t]*\n?")
_REPLY = re.compile(r"<tool_response>(.*?)</tool_response>", re.DOTALL)
_MISSPELT = re.compile(
    r"<tool_call(?:s\b|\s)[^<>]*>(?:(?!</?tool_call).)*(?:</tool_calls?\b[^<>]*>)?|</tool_call(?:s\b|\s)[^<>]*>",
    re.DOTALL,
)


@dataclass(frozen=True)
class Attempt:
    """One call as written; `error` is what can be told from the text alone."""

    name: str | None
    arguments: dict[str, Any]
    error: CallError | None


MALFORMED = Attempt(None, {}, CallError.MALFORMED)


def raw_trajectory(row: Mapping[str, Any], where: str, answer_format: str = "boxed") -> Trajectory:
    """Build the trajectory that a raw row describes. `where` (file and line) begins every error message.

    answer_format: of its final turn, as `task.answer_format` names it.

    Raises InputError for a missing key or a value of the wrong type.
    """
    check_raw_row(row, where)
    response, eos, truth = row["response"], row["eos"], row.get("ground_truth", ())
    schemas = row.get("tools")
    right = _right_calls(row)
    gold = (
        None if right is None else gold_calls(right, [check_schema(schema, where) for schema in schemas or ()], where)
    )
    parameters = _parameters(schemas, where)
    turns = split_turns(response, eos)
    messages: list[dict[str, Any]] = [{"role": "user", "content": ""}]
    calls: list[CallRecord] = []
    assistant_turn = -1
    for position, (role, text) in enumerate(turns):
        if role != "assistant":
            messages += _other_messages(role, text)
            continue
        assistant_turn += 1
        content, attempts = read_calls(text, parameters)
        calls += (
            record_outcomes(assistant_turn, attempts, _replies(turns[position + 1 :]))
            if gold is None
            else _not_run(assistant_turn, attempts)
        )
        messages.append({"role": "assistant", "content": content, **_tool_calls(attempts)})
    teacher = row.get("teacher_tools")
    named = None if teacher is None else tuple(NamedCall(name) for name in teacher)
    task = Task(
        id=str(row["id"]),
        question="",
        answer=() if gold is not None else (truth,) if isinstance(truth, str) else tuple(truth),
        toolset="row" if schemas is not None else "calculator",
        reference=named if right is None else right,
        gold=gold,
        answer_format=answer_format,
    )
    stop_reason = _stop_reason(response.endswith(eos), turns, calls, assistant_turn)
    if gold is not None and stop_reason is StopReason.MAX_TURNS:
        stop_reason = StopReason.CALLED
    return Trajectory(task, messages, json.dumps(schemas or []), stop_reason, calls, response=response, eos=eos)


def split_turns(response: str, eos: str) -> list[tuple[str, str]]:
    """Split a response into (role, text) of each turn; the first is the assistant's.

    A turn of tool replies has the role `tool`.
    """
    pieces = _HEADER.split(response)
    turns = []
    for role, text in zip(["assistant", *pieces[1::2]], pieces[::2], strict=True):
        parts = text.split(eos) if eos else [text]
        for position, part in enumerate(parts):
            empty_reply = role == "tool" and position == 0 and len(parts) > 1
            if part.strip() or empty_reply:
                is_reply = role == "tool" or (role == "user" and "<tool_response>" in part)
                turns.append(("tool" if is_reply else role, part.strip()))
    return turns


def read_calls(text: str, parameters: Mapping[str, Any]) -> tuple[str, list[Attempt]]:
    """Split a turn into the model's own words, without thinking and calls, and the calls it attempted, in order.

    Read as a rollout reads them (`mentor.chat.parse`); here a misspelt tag counts as a malformed call too.
    """
    visible = split_reasoning(_without_replies(text))[1]
    attempts: list[Attempt] = []
    content, position = "", 0
    for piece in HERMES.find(visible):
        gap = visible[position : piece.start]
        misspelt = _MISSPELT.findall(gap)
        content += _MISSPELT.sub("", gap)
        attempts += [MALFORMED] * len(misspelt)
        if not (misspelt and visible.startswith("</tool_call>", piece.start)):  # which closes the misspelt one
            attempts.append(_attempt(piece.call, parameters))
        position = piece.end
    rest = visible[position:]
    return (content + _MISSPELT.sub("", rest)).strip(), attempts + [MALFORMED] * len(_MISSPELT.findall(rest))


def _without_replies(text: str) -> str:
    """Remove tool replies, except inside an argument of a call."""
    end = text.rfind("</tool_response>")
    if end < 0:
        return text
    calls = [(piece.start, piece.end) for piece in HERMES.find(text) if piece.call.problem is None]

    def kept(reply: re.Match[str]) -> str:
        return reply[0] if any(start < reply.start() and reply.end() < end for start, end in calls) else ""

    return _REPLY.sub(kept, text[:end] + "</tool_response>") + text[end + len("</tool_response>") :]


def _attempt(call: ParsedCall, parameters: Mapping[str, Any]) -> Attempt:
    if call.name is None or call.problem is not None:
        return Attempt(call.name, {}, CallError.MALFORMED)
    return Attempt(call.name, call.arguments, _form_error(call.name, call.arguments, parameters))


def _form_error(name: str, arguments: dict[str, Any], parameters: Mapping[str, Any]) -> CallError | None:
    if name not in parameters:
        return CallError.UNKNOWN_TOOL
    fits = jsonschema.Draft202012Validator(parameters[name]).is_valid(arguments)
    return None if fits else CallError.INVALID_ARGUMENTS


def record_outcomes(turn: int, attempts: Sequence[Attempt], replies: Sequence[str]) -> list[CallRecord]:
    """Build the record of each call: its malformation, else the error in its reply; without a reply it did not run."""
    return [
        CallRecord(turn, attempt.name, attempt.arguments, error is None, error)
        for attempt, reply in zip(attempts, _pair(attempts, replies), strict=True)
        for error in [attempt.error or (CallError.CRASH if reply is None else reply_error(reply))]
    ]


def _not_run(turn: int, attempts: Sequence[Attempt]) -> list[CallRecord]:
    return [
        CallRecord(turn, attempt.name, attempt.arguments, False, attempt.error or CallError.NOT_RUN)
        for attempt in attempts
    ]


def _right_calls(row: Mapping[str, Any]) -> tuple[ToolCall, ...] | None:
    calls = row.get("gold_calls")
    return None if calls is None else tuple(ToolCall(call["name"], call["arguments"]) for call in calls)


def _pair(attempts: Sequence[Attempt], replies: Sequence[str]) -> list[str | None]:
    """Pair each call with the reply that echoes it, else by position; malformed calls are skipped if replies lack."""
    left = list(replies)
    paired = [_take_echo(left, attempt.name) for attempt in attempts]
    plain = [reply for reply in left if reply_name(reply) is None]
    waiting = [position for position, reply in enumerate(paired) if reply is None]
    if len(plain) < len(waiting):
        waiting = [position for position in waiting if attempts[position].error is not CallError.MALFORMED]
    for position, reply in zip(waiting, plain, strict=False):  # calls without a reply did not run
        paired[position] = reply
    return paired


def _take_echo(left: list[str], name: str | None) -> str | None:
    for position, reply in enumerate(left):
        if name is not None and reply_name(reply) == name:
            return left.pop(position)
    return None


def _replies(turns: Sequence[tuple[str, str]]) -> list[str]:
    """Return the tool replies before the next assistant turn: all in one turn, or one turn of role `tool` each."""
    before_next = takewhile(lambda turn: turn[0] != "assistant", turns)
    return [reply for role, text in before_next if role == "tool" for reply in _REPLY.findall(text) or [text]]


def _other_messages(role: str, text: str) -> list[dict[str, Any]]:
    if role == "tool":
        return [{"role": "tool", "content": reply.strip()} for reply in _REPLY.findall(text) or [text]]
    return [{"role": role, "content": text}]


def _tool_calls(attempts: Sequence[Attempt]) -> dict[str, Any]:
    named = [attempt for attempt in attempts if attempt.name is not None]
    calls = [{"type": "function", "function": {"name": call.name, "arguments": call.arguments}} for call in named]
    return {"tool_calls": calls} if calls else {}


def _stop_reason(ended: bool, turns: Sequence[tuple[str, str]], calls: Sequence[CallRecord], last: int) -> StopReason:
    """Return ANSWERED only for a text that ends in a whole assistant turn without any call."""
    if not ended or not turns or turns[-1][0] != "assistant":
        return StopReason.LENGTH
    return StopReason.MAX_TURNS if any(call.turn == last for call in calls) else StopReason.ANSWERED


def check_raw_row(row: Mapping[str, Any], where: str) -> None:
    """Raise InputError for a missing key or a value of the wrong type, as `raw_trajectory` does."""

    def require(accepted: bool, key: str, what: str) -> None:
        if not accepted:
            given = f"{key}={row[key]!r}" if key in row else f"no {key!r}"
            raise InputError(f"{where}: {given:.200}, accepted: {what}")

    by_calls = row.get("gold_calls") is not None
    needed = ("id", "response", "eos", *(("tools",) if by_calls else ("ground_truth", "teacher_tools")))
    for key in needed:
        require(key in row, key, f"rows with {', '.join(needed)} (or stored trajectories)")
    if by_calls:
        require(_calls(row["gold_calls"]), "gold_calls", "a list of {name, arguments}")
    require(isinstance(row["id"], (str, int)) and not isinstance(row["id"], bool), "id", "a text or an integer")
    for key in ("response", "eos"):
        require(isinstance(row[key], str), key, "a text")
    truth, teacher = row.get("ground_truth", []), row.get("teacher_tools")
    require(isinstance(truth, str) or _texts(truth), "ground_truth", "a text or a list of texts")
    require(teacher is None or _texts(teacher), "teacher_tools", "a list of names, or null")
    _parameters(row.get("tools"), where)


def _calls(value: object) -> bool:
    return isinstance(value, list) and all(
        isinstance(call, dict) and isinstance(call.get("name"), str) and isinstance(call.get("arguments"), dict)
        for call in value
    )


def _texts(value: object) -> bool:
    return isinstance(value, list) and all(isinstance(item, str) for item in value)


def _parameters(schemas: Any, where: str) -> dict[str, Any]:
    """Return the JSON schema of the arguments by tool name; any arguments for the released calculator's tools."""
    if schemas is None:
        return {name: {"minProperties": 1} for name in VALID_TOOLS}
    if not isinstance(schemas, list):
        raise InputError(f"{where}: tools={schemas!r:.80}, accepted: a list of tool schemas")
    functions = [check_schema(schema, where)["function"] for schema in schemas]
    return {function["name"]: function.get("parameters", {}) for function in functions}
