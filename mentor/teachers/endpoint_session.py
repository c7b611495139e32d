"""Solve tasks through an open endpoint: ask, execute the calls it makes, show the results, until it answers.

A task is tried `samples` times; each try is one conversation with its own tool state. The answer of every try is
graded, and one of the right tries is chosen (`sampled.py`). A conversation is held twice: as every teacher's
trajectory is stored, and as it is sent, with each turn as the endpoint gave it (its original is in the request store).
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from mentor.chat import assistant_message
from mentor.chat.syntax import ParsedCall
from mentor.endpoints.endpoint import Endpoint, RequestFailed
from mentor.endpoints.reply import read_reply, returned
from mentor.environment.episode import call_error
from mentor.teachers.outcomes import Rejection
from mentor.teachers.sampled import Verifier
from mentor.tools import ToolExecutor
from mentor.types import CallRecord, StopReason, Task, ToolResult, Trajectory

PARSER_HINT = "the server has no tool parser (vLLM: --enable-auto-tool-choice --tool-call-parser <parser>)"


class EndpointSession:
    """An open endpoint with the limits of a try.

    max_turns: assistant turns of one try. max_calls: of one turn. instruction: a system message that is sent and not
    stored.
    """

    def __init__(self, endpoint: Endpoint, max_turns: int, max_calls: int, instruction: str | None) -> None:
        self.endpoint = endpoint
        self.max_turns, self.max_calls, self.instruction = max_turns, max_calls, instruction

    async def solve(
        self, task: Task, executor: ToolExecutor, samples: int, verifier: Verifier
    ) -> Trajectory | Rejection:
        """Try a task `samples` times and return the try that the verifier chooses, or a rejection.

        Raises NoMoreRequests when no more may be asked, StageError when the endpoint answers nothing at all.
        """
        tries = [asyncio.create_task(self.attempt(task, sample, executor)) for sample in range(samples)]
        try:
            return await verifier.outcome(task, await asyncio.gather(*tries))
        finally:
            for entry in tries:
                entry.cancel()

    async def attempt(self, task: Task, sample: int, executor: ToolExecutor) -> Trajectory | Rejection:
        """Try a task once: its conversation, which nobody has graded, or a rejection. Raises as `solve`."""
        attempt = _Try(self, task, sample, executor)
        try:
            return await attempt.run()
        except RequestFailed as failure:
            return Rejection(failure.reason, failure.detail)
        finally:
            await executor.end_session(attempt.session)


class _Try:
    """One try while it runs."""

    def __init__(self, session: EndpointSession, task: Task, sample: int, executor: ToolExecutor) -> None:
        self.endpoint_session, self.task, self.sample, self.executor = session, task, sample, executor
        self.session = f"{task.id}/{sample}"
        self.tools = json.loads(executor.toolset.schemas_json)
        self.messages = task.prompt
        self.sent = opening(session.instruction, self.messages)
        self.earlier_calls = sum(len(message.get("tool_calls") or ()) for message in self.messages)
        self.first_turn = sum(message["role"] == "assistant" for message in self.messages)
        self.calls: list[CallRecord] = []

    async def run(self) -> Trajectory | Rejection:
        ending = await self._turns()
        if isinstance(ending, Rejection):
            return ending
        toolset = self.executor.toolset
        task = replace(self.task, toolset=toolset.name)
        isolation = self.executor.isolation
        return Trajectory(task, self.messages, toolset.schemas_json, ending, self.calls, isolation=isolation)

    async def _turns(self) -> StopReason | Rejection:
        limits = self.endpoint_session
        for turn in range(limits.max_turns):
            answer = await limits.endpoint.complete([*self.sent], self.tools, self.sample)
            reply = read_reply(answer["message"])
            first = self.earlier_calls + len(self.calls)
            self.messages.append(assistant_message(reply.content, reply.reasoning, reply.calls, first))
            if answer["finish_reason"] == "length":
                return StopReason.LENGTH  # its calls may be cut short, so they are not run
            if reply.unparsed is not None:
                return Rejection("unparsed_calls", f"`{reply.unparsed}` in place of tool_calls: {PARSER_HINT}")
            if not reply.calls:
                return StopReason.ANSWERED
            if "malformed_call" in reply.flags:
                return StopReason.INVALID_CALLS  # endpoints refuse to take such a call back
            if len(reply.calls) > limits.max_calls:
                made = f"turn {turn + 1} made {len(reply.calls)} calls"
                return Rejection("too_many_calls", f"{made}, teacher.max_calls_per_turn={limits.max_calls}")
            if self.task.gold is not None:
                schemas = {schema["function"]["name"]: schema["function"]["parameters"] for schema in self.tools}
                self.calls = [
                    CallRecord(self.first_turn, call.name, call.arguments, False, call_error(call, schemas))
                    for call in reply.calls
                ]
                return StopReason.CALLED
            if turn + 1 == limits.max_turns:
                break
            wire = returned(answer["message"], reply, first)
            self.sent.append(wire)
            calls = [(call.name or "", call.arguments) for call in reply.calls]
            results = await self.executor.call_turn(calls, self.session)
            for call, result, entry in zip(reply.calls, results, wire["tool_calls"], strict=True):
                self._record(turn, call, result, entry["id"])
        return StopReason.MAX_TURNS

    def _record(self, turn: int, call: ParsedCall, result: ToolResult, wire_id: str) -> None:
        """Append a call and its result. wire_id: the endpoint's id of the call."""
        assert call.name is not None
        stored = {
            "tool_call_id": f"call_{self.earlier_calls + len(self.calls)}",
            "name": call.name,
            "content": result.text,
        }
        self.messages.append({"role": "tool", **stored})
        self.sent.append({"role": "tool", "tool_call_id": wire_id, "content": result.text})
        place = self.first_turn + turn
        self.calls.append(CallRecord(place, call.name, call.arguments, result.ok, result.error, result.seconds))


def opening(instruction: str | None, prompt: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return what is sent first: the task's messages with the instruction, which follows its own system text."""
    sent = [_on_the_wire(message) for message in prompt]
    own = [sent.pop(0)["content"]] if sent and sent[0]["role"] == "system" else []
    system = "\n\n".join(text for text in (*own, instruction) if text)
    return [{"role": "system", "content": system}, *sent] if system else sent


def _on_the_wire(message: dict[str, Any]) -> dict[str, Any]:
    """Return a stored message as the protocol takes it from anyone: arguments as JSON text, without reasoning."""
    wire = {key: value for key, value in message.items() if key not in ("reasoning_content", "name")}
    if "tool_calls" in message:
        wire["tool_calls"] = [
            {**call, "function": {**call["function"], "arguments": json.dumps(call["function"]["arguments"])}}
            for call in message["tool_calls"]
        ]
    return wire
