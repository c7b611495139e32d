"""What a client of the chat API is answered: a trajectory as a completion, whole or in chunks, and errors."""

from __future__ import annotations

import json
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any
from uuid import uuid4

from mentor.types import StopReason, Trajectory

FINISHED = {StopReason.ANSWERED: "stop", StopReason.CALLED: "tool_calls"}
"""OpenAI's finish reason by stop reason; `length` of the others, which are limits."""


@dataclass(frozen=True)
class ReplyWriter:
    """The answer to one request. model: its name."""

    model: str
    id: str
    created: int

    @classmethod
    def of(cls, model: str) -> ReplyWriter:
        return cls(model, uuid4().hex, int(time.time()))

    def shown(self, message: dict[str, Any]) -> dict[str, Any]:
        """Write a turn or result of an episode in OpenAI's shape, with ids of calls that no other reply has."""
        shown = {**message}
        if calls := message.get("tool_calls"):
            shown["content"] = message["content"] or None
            shown["tool_calls"] = [{**call, "id": self._id(call["id"]), "function": _as_text(call)} for call in calls]
        if message["role"] == "tool":
            shown["tool_call_id"] = self._id(message["tool_call_id"])
        return shown

    def _id(self, own: str) -> str:
        return f"call_{self.id}_{own.removeprefix('call_')}"

    def completion(self, message: dict[str, Any], finish: str, usage: dict[str, int]) -> dict[str, Any]:
        choice = {"index": 0, "message": message, "finish_reason": finish, "logprobs": None}
        return {**self._head("chat.completion"), "choices": [choice], "usage": usage}

    def chunk(self, delta: dict[str, Any], finish: str | None = None) -> dict[str, Any]:
        choice = {"index": 0, "delta": delta, "finish_reason": finish, "logprobs": None}
        return {**self._head("chat.completion.chunk"), "choices": [choice]}

    def usage_chunk(self, usage: dict[str, int]) -> dict[str, Any]:
        return {**self._head("chat.completion.chunk"), "choices": [], "usage": usage}

    def _head(self, kind: str) -> dict[str, Any]:
        return {"id": f"chatcmpl-{self.id}", "object": kind, "created": self.created, "model": self.model}


def _as_text(call: dict[str, Any]) -> dict[str, str]:
    function = call["function"]
    return {"name": function["name"], "arguments": json.dumps(function["arguments"], ensure_ascii=False)}


def answer_of(own: Sequence[dict[str, Any]], stop_reason: StopReason) -> dict[str, Any] | None:
    """Return the turn that is the reply among shown messages; None where the loop ended before one.

    The calls of a turn that ran out of tokens may be cut short with it, so they are left out.
    """
    last = own[-1]
    if stop_reason is StopReason.CALLED or (last["role"] == "assistant" and not last.get("tool_calls")):
        return last
    return None


def finish_reason(message: dict[str, Any], stop_reason: StopReason) -> str:
    """A turn whose call is malformed is `stop`: it holds no call in OpenAI's shape, but its whole text."""
    if stop_reason is StopReason.CALLED and not message.get("tool_calls"):
        return "stop"
    return FINISHED.get(stop_reason, "length")


def usage_of(trajectory: Trajectory) -> dict[str, int]:
    """Count sampled tokens as the completion's, all others (prompt, results, glue) as the prompt's."""
    assert trajectory.tokens is not None
    total, sampled = len(trajectory.tokens), trajectory.tokens.sampled
    return {"prompt_tokens": total - sampled, "completion_tokens": sampled, "total_tokens": total}


def event(data: dict[str, Any]) -> str:
    """Write a server-sent event."""
    return f"data: {json.dumps(data, ensure_ascii=False)}\n\n"


def error_body(message: str, kind: str, code: str | None = None, param: str | None = None) -> dict[str, Any]:
    return {"error": {"message": message, "type": kind, "param": param, "code": code}}
