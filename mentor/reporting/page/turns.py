"""A trajectory as turns to read: the text, and every call with its outcome and the tool's reply."""

from __future__ import annotations

import json
from typing import Any

from mentor.types import CallRecord, Task, Trajectory

NOT_RUN = "not run"  # calls of a turn that ended the trajectory


def turns_of(trajectory: Trajectory) -> list[dict[str, Any]]:
    """Build {role, text, reasoning, calls} of each turn; a call is {name, arguments (JSON text), outcome, reply}.

    The role is `assistant`; where the question has a system text or earlier turns before it, `user` and `system` too.
    `outcome` is `ok`, the kind of error, or NOT_RUN. A turn with a malformed call has its whole text as `text`.
    """
    turns: list[dict[str, Any]] = []  # of the assistant
    shown: list[dict[str, Any]] = []
    context = [message for message in trajectory.messages if message["role"] in ("user", "system")]
    replies: list[list[str]] = []
    listed: list[list[dict[str, Any]]] = []
    for message in trajectory.messages:
        if message["role"] == "assistant":
            turns.append(_turn(message, message.get("reasoning_content") or ""))
            shown.append(turns[-1])
            listed.append([call["function"] for call in message.get("tool_calls") or []])
            replies.append([])
        elif message["role"] == "tool" and turns:
            replies[-1].append(message["content"])
        elif message["role"] in ("user", "system") and len(context) > 1:
            shown.append(_turn(message))
    for place, turn in enumerate(turns):
        made = [call for call in trajectory.calls if call.turn == place]
        if made:
            texts = [*replies[place], *[""] * len(made)]
            turn["calls"] = [_call(call, text) for call, text in zip(made, texts, strict=False)]
            if len(listed[place]) == len(made):  # no malformed call among them
                turn["calls"] = [_as_written(*pair) for pair in zip(turn["calls"], listed[place], strict=True)]
        else:
            turn["calls"] = [_shown(f["name"], f["arguments"], NOT_RUN, "") for f in listed[place]]
    return shown


def reference_turns(task: Task) -> list[dict[str, Any]] | None:
    """Build one turn without text from the teacher's calls of a task; None where the teacher is unknown."""
    if task.reference is None:
        return None
    calls = [_shown(call.name, call.arguments, "", "") for call in task.reference]
    return [{"role": "assistant", "text": "", "reasoning": "", "calls": calls}]


def _turn(message: dict[str, Any], reasoning: str = "") -> dict[str, Any]:
    return {"role": message["role"], "text": message["content"], "reasoning": reasoning, "calls": []}


def _as_written(call: dict[str, Any], written: dict[str, Any]) -> dict[str, Any]:
    """Show a call of a renamed tool as the model wrote it, with the tool's own name behind; another as it is."""
    own, shown = call["name"], written["name"]
    if own == shown:
        return call
    return {**call, "name": f"{shown} ({own})", "arguments": json.dumps(written["arguments"], ensure_ascii=False)}


def _call(call: CallRecord, reply: str) -> dict[str, Any]:
    return _shown(call.name, call.arguments, "ok" if call.error is None else call.error.value, reply)


def _shown(name: str | None, arguments: dict[str, Any], outcome: str, reply: str) -> dict[str, Any]:
    text = json.dumps(arguments, ensure_ascii=False)
    return {"name": name or "", "arguments": text, "outcome": outcome, "reply": reply}
