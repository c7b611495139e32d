"""A trajectory as turns to read: the text, and every call with its outcome and the tool's reply."""

from __future__ import annotations

import json
from typing import Any

from mentor.types import CallRecord, Task, Trajectory

NOT_RUN = "not run"  # calls of a turn that ended the trajectory


def turns_of(trajectory: Trajectory) -> list[dict[str, Any]]:
    """Build {text, reasoning, calls} of each assistant turn; a call is {name, arguments (JSON text), outcome, reply}.

    `outcome` is `ok`, the kind of error, or NOT_RUN. A turn with a malformed call has its whole text as `text`.
    """
    turns: list[dict[str, Any]] = []
    replies: list[list[str]] = []
    listed: list[list[dict[str, Any]]] = []
    for message in trajectory.messages:
        if message["role"] == "assistant":
            turns.append({"text": message["content"], "reasoning": message.get("reasoning_content") or "", "calls": []})
            listed.append([call["function"] for call in message.get("tool_calls") or []])
            replies.append([])
        elif message["role"] == "tool" and turns:
            replies[-1].append(message["content"])
    for place, turn in enumerate(turns):
        made = [call for call in trajectory.calls if call.turn == place]
        if made:
            texts = [*replies[place], *[""] * len(made)]
            turn["calls"] = [_call(call, text) for call, text in zip(made, texts, strict=False)]
        else:
            turn["calls"] = [_shown(f["name"], f["arguments"], NOT_RUN, "") for f in listed[place]]
    return turns


def reference_turns(task: Task) -> list[dict[str, Any]] | None:
    """Build one turn without text from the teacher's calls of a task; None where the teacher is unknown."""
    if task.reference is None:
        return None
    calls = [_shown(call.name, call.arguments, "", "") for call in task.reference]
    return [{"text": "", "reasoning": "", "calls": calls}]


def _call(call: CallRecord, reply: str) -> dict[str, Any]:
    return _shown(call.name, call.arguments, "ok" if call.error is None else call.error.value, reply)


def _shown(name: str | None, arguments: dict[str, Any], outcome: str, reply: str) -> dict[str, Any]:
    text = json.dumps(arguments, ensure_ascii=False)
    return {"name": name or "", "arguments": text, "outcome": outcome, "reply": reply}
