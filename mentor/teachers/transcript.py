"""Execute a known program of tool calls as a conversation, and compare its last result with the gold answer."""

from __future__ import annotations

import json
import math
from dataclasses import replace
from typing import Any

from mentor.rewards.answer_formats import answer_format
from mentor.tasks.programs import Program, resolve_arguments
from mentor.teachers.outcomes import Rejection
from mentor.tools import ToolExecutor
from mentor.types import CallRecord, StopReason, Task, ToolResult, Trajectory

TOLERANCE = 1e-6  # absolute, between an executed result and the gold answer


class Transcript:
    """The conversation of one task, with one executed call a turn."""

    def __init__(self, task: Task, executor: ToolExecutor) -> None:
        self.task = task
        self.executor = executor
        self.messages: list[dict[str, Any]] = [{"role": "user", "content": task.question}]
        self.calls: list[CallRecord] = []
        self.texts: list[str] = []  # of the results, as shown

    async def call(self, name: str, arguments: dict[str, Any]) -> ToolResult:
        """Execute one call and append it with its result."""
        turn = len(self.calls)
        result = await self.executor.call(name, arguments, session=self.task.id)
        call = {"id": f"call_{turn}", "type": "function", "function": {"name": name, "arguments": arguments}}
        self.messages.append({"role": "assistant", "content": "", "tool_calls": [call]})
        self.messages.append({"role": "tool", "tool_call_id": f"call_{turn}", "name": name, "content": result.text})
        self.calls.append(CallRecord(turn, name, arguments, result.ok, result.error, result.seconds))
        self.texts.append(result.text)
        return result

    async def run(self, program: Program) -> Rejection | None:
        """Execute a program. Later calls take earlier results as shown. Returns a rejection where a call fails."""
        values: list[Any] = []
        try:
            for entry in program:
                result = await self.call(entry["name"], resolve_arguments(entry, values))
                if not result.ok:
                    call = json.dumps(self.calls[-1].arguments, ensure_ascii=False)
                    return Rejection("execution_error", f"{entry['name']}({call}): {result.text}")
                values.append(shown_value(result.text))
        finally:
            await self.executor.end_session(self.task.id)
        return None

    def answer(self, text: str) -> Trajectory:
        """Finish the trajectory: the answer as the last turn, the executed calls as the task's reference."""
        final = {"role": "assistant", "content": answer_format(self.task.answer_format).write(text)}
        trajectory = Trajectory(
            task=self.task,
            messages=[*self.messages, final],
            tools=self.executor.toolset.schemas_json,
            stop_reason=StopReason.ANSWERED,
            calls=self.calls,
            isolation=self.executor.isolation,
        )
        toolset = self.executor.toolset.name
        trajectory.task = replace(self.task, toolset=toolset, reference=tuple(trajectory.executed_calls()))
        return trajectory


async def execute(program: Program, task: Task, executor: ToolExecutor) -> Trajectory | Rejection:
    """Execute a program of at least one call. The trajectory is verified if the last result is an accepted answer."""
    transcript = Transcript(task, executor)
    failure = await transcript.run(program)
    if failure:
        return failure
    answer = matching_answer(transcript.texts[-1], task.answer)
    if answer is None:
        return Rejection("wrong_result", f"executed {transcript.texts[-1]}, the answer is {' or '.join(task.answer)}")
    return transcript.answer(answer)


def shown_value(text: str) -> Any:
    """Read a tool result as the value that a later call passes on: a number where the text is one, else the text."""
    try:
        return int(text)
    except ValueError:
        number = number_of(text)
        return text if number is None else number


def number_of(text: str) -> float | None:
    """Read a text as a finite number; None where it is not one."""
    try:
        number = float(text)
    except ValueError:
        return None
    return number if math.isfinite(number) else None


def matching_answer(text: str, accepted: tuple[str, ...]) -> str | None:
    """Return the accepted answer that a result equals, as text or as a number within TOLERANCE, else None."""
    shown = number_of(text)
    for answer in accepted:
        gold = number_of(answer.replace(",", ""))
        if text.strip() == answer.strip():
            return answer
        if shown is not None and gold is not None and abs(shown - gold) <= TOLERANCE:
            return answer
    return None
