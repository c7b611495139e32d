"""Solve tasks through an open endpoint: ask, execute the calls it makes, show the results, until it answers.

A task is tried `samples` times; each try is one conversation with its own tool state. The answer of every try is
graded, and one of the right tries is chosen (`sampled.py`).
"""

from __future__ import annotations

import asyncio
import json
from dataclasses import replace
from typing import Any

from mentor.chat import assistant_message
from mentor.teachers.endpoint import Endpoint, RequestFailed
from mentor.teachers.outcomes import Rejection
from mentor.teachers.reply import read_reply
from mentor.teachers.sampled import Verifier
from mentor.tools import ToolExecutor
from mentor.types import CallRecord, StopReason, Task, Trajectory


class EndpointSession:
    """An open endpoint with its verifier.

    instruction: a system message that is sent and not stored. max_turns: assistant turns of one try.
    """

    def __init__(
        self, endpoint: Endpoint, verifier: Verifier, samples: int, max_turns: int, instruction: str | None
    ) -> None:
        self.endpoint, self.verifier = endpoint, verifier
        self.samples, self.max_turns, self.instruction = samples, max_turns, instruction

    async def solve(self, task: Task, executor: ToolExecutor) -> Trajectory | Rejection:
        """Try a task `samples` times and return the chosen try, or a rejection.

        Raises CapReached when no more may be spent, StageError when the endpoint answers nothing at all.
        """
        tries = [asyncio.create_task(self._try(task, sample, executor)) for sample in range(self.samples)]
        try:
            return await self.verifier.outcome(task, await asyncio.gather(*tries))
        finally:
            for entry in tries:
                entry.cancel()

    async def _try(self, task: Task, sample: int, executor: ToolExecutor) -> Trajectory | Rejection:
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
        self.messages: list[dict[str, Any]] = [{"role": "user", "content": task.question}]
        self.calls: list[CallRecord] = []

    async def run(self) -> Trajectory:
        stop_reason = await self._turns()
        toolset = self.executor.toolset
        task = replace(self.task, toolset=toolset.name)
        isolation = self.executor.isolation
        return Trajectory(task, self.messages, toolset.schemas_json, stop_reason, self.calls, isolation=isolation)

    async def _turns(self) -> StopReason:
        for turn in range(self.endpoint_session.max_turns):
            messages = wire_messages(self.endpoint_session.instruction, self.messages)
            answer = await self.endpoint_session.endpoint.complete(messages, self.tools, self.sample)
            reply = read_reply(answer["message"])
            first = len(self.calls)
            self.messages.append(assistant_message(reply.content, reply.reasoning, reply.calls, first))
            if answer["finish_reason"] == "length":
                return StopReason.LENGTH  # its calls may be cut short, so they are not run
            if not reply.calls:
                return StopReason.ANSWERED
            if "malformed_call" in reply.flags:
                return StopReason.INVALID_CALLS  # the protocol has no way to hand it back
            if turn + 1 == self.endpoint_session.max_turns:
                break
            for number, call in enumerate(reply.calls, start=first):
                assert call.name is not None
                result = await self.executor.call(call.name, call.arguments, session=self.session)
                shown = {"tool_call_id": f"call_{number}", "name": call.name, "content": result.text}
                self.messages.append({"role": "tool", **shown})
                record = CallRecord(turn, call.name, call.arguments, result.ok, result.error, result.seconds)
                self.calls.append(record)
        return StopReason.MAX_TURNS


def wire_messages(instruction: str | None, messages: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return messages as the protocol takes them: arguments as JSON text, without the reasoning of earlier turns."""
    sent: list[dict[str, Any]] = [{"role": "system", "content": instruction}] if instruction else []
    for message in messages:
        wire = {key: value for key, value in message.items() if key not in ("reasoning_content", "name")}
        if "tool_calls" in message:
            wire["tool_calls"] = [
                {**call, "function": {**call["function"], "arguments": json.dumps(call["function"]["arguments"])}}
                for call in message["tool_calls"]
            ]
        sent.append(wire)
    return sent
