"""The teacher that has worked before: it hands on the conversations of traces, after a look at each.

A trace whose answer is known and given in the task's format is graded. With `reexecute` its calls are run again where
the tools are at hand.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from mentor.calls.schemas import schemas_text
from mentor.jsonl import Report
from mentor.rewards.answer_formats import final_answer
from mentor.rewards.correctness import Grader
from mentor.rewards.tool_match import same_value
from mentor.tasks.trace_rows import ReadRow
from mentor.teachers.base import Teacher
from mentor.teachers.outcomes import TRAJECTORIES, Outcomes, Rejection
from mentor.teachers.transcript import TOLERANCE, number_of
from mentor.tools import Toolbox
from mentor.traces.loose_json import NotJsonError, loose_json
from mentor.traces.trace import Trace
from mentor.trajectories.store import load_trajectories
from mentor.types import CallError, CallRecord, StopReason, Task, TaskTools, ToolCall, Trajectory


class RecordedTeacher(Teacher):
    """Takes tasks of `load_traces`. reexecute, min_reward: as in the configuration."""

    def __init__(self, reexecute: bool = False, min_reward: float | None = 1.0) -> None:
        self.reexecute, self.min_reward = reexecute, min_reward

    def solve_all(
        self, tasks: Sequence[Task], toolbox: Toolbox, concurrency: int, outcomes: Outcomes
    ) -> dict[str, Any]:
        with Grader() as grader:
            if self.reexecute:
                asyncio.run(self._run_again(tasks, toolbox, concurrency, outcomes, grader))
            else:
                for task in tasks:
                    outcomes.write(task, self.judged(task, grader))
        return {}

    def judged(self, task: Task, grader: Grader) -> Trajectory | Rejection:
        """Return the trace as a trajectory, or why it is not handed on."""
        row: ReadRow = task.source["row"]
        if row.refusal is not None or row.trace is None:
            return Rejection(*(row.refusal or ("unreadable", row.place)))
        reward = row.trace.reward
        if reward is not None and self.min_reward is not None and reward < self.min_reward:
            return Rejection("low_reward", f"{row.place}: the run's reward is {reward:g}, below {self.min_reward:g}")
        trajectory = as_trajectory(task, row.trace)
        answer = final_answer(trajectory)
        if task.answer and answer is not None and grader.grade(answer, task.answer) is False:
            accepted = " or ".join(task.answer)
            return Rejection("wrong_answer", f"{row.place}: answered {answer[:80]}, the answer is {accepted[:80]}")
        return trajectory

    async def _run_again(
        self, tasks: Sequence[Task], toolbox: Toolbox, concurrency: int, outcomes: Outcomes, grader: Grader
    ) -> None:
        async def outcome(task: Task) -> Trajectory | Rejection:
            judged = await asyncio.to_thread(self.judged, task, grader)
            return judged if isinstance(judged, Rejection) else await run_again(judged, toolbox)

        async with toolbox:
            outcomes.logger.message(toolbox.summary)
            for start in range(0, len(tasks), concurrency):
                part = tasks[start : start + concurrency]
                for task, found in zip(part, await asyncio.gather(*map(outcome, part)), strict=True):
                    outcomes.write(task, found)

    def counts(self, folder: Path, tasks: Sequence[Task], toolbox: Toolbox, report: Report) -> dict[str, Any]:
        """`traces`: rows, what those that can be read hold, and what was kept; reported with the first refused row.

        See `count_traces` and `kept_counts`. made_tools: rows that list no tools and make calls.
        """
        kept = load_trajectories(folder / TRAJECTORIES, report, schemas=False)
        rows: list[ReadRow] = [task.source["row"] for task in tasks]
        read = count_traces([row.trace for row in rows if row.trace is not None])
        held = count_traces([Trace(t.messages, _schemas(t.task)) for t in kept]) | kept_counts(kept)
        if not self.reexecute:
            del held["reexecuted"]
        counts = {
            "form": rows[0].form if rows else None,
            "rows": len(rows),
            "read": read,
            "kept": held,
            "made_tools": sum(row.made_tools for row in rows),
        }
        report(f"traces: {len(rows)} rows in the {counts['form']} form hold {_listed(read)}")
        report(f"kept {len(kept)} with {_listed(held)}")
        if counts["made_tools"]:
            report(f"tools: {counts['made_tools']} rows with calls list none; their schemas are made from the calls")
        refused = [row.refusal for row in rows if row.refusal is not None]
        if refused:
            reasons = Counter(reason for reason, _ in refused)
            named = ", ".join(f"{number} {reason}" for reason, number in reasons.most_common())
            report(f"{len(refused)} of {len(rows)} rows refused ({named}); the first: {refused[0][1]}")
        return {"traces": counts}


def as_trajectory(task: Task, trace: Trace) -> Trajectory:
    """Write a trace as a trajectory; its calls since the last turn of the user are the task's reference."""
    ends_with_calls = next("tool_calls" in m for m in reversed(trace.messages) if m["role"] == "assistant")
    trajectory = Trajectory(
        task,
        trace.messages,
        schemas_text(task.tools.schemas if task.tools else []),
        StopReason.CALLED if ends_with_calls else StopReason.ANSWERED,
        _records(trace),
    )
    own = [call for call in trajectory.calls_with_results() if call.turn >= trajectory.first_turn]
    known = [call for call in own if call.error in (None, CallError.NOT_RUN)]
    reference = tuple(ToolCall(call.name or "", call.arguments, call.result) for call in known)
    return replace(trajectory, task=replace(task, source={}, reference=reference))


def _records(trace: Trace) -> list[CallRecord]:
    """Record the calls: of a tool that is not listed, without a result at the end of the trace, or else as run."""
    listed = {schema["function"]["name"] for schema in trace.tools or ()}
    answered = {message["tool_call_id"] for message in trace.messages if message["role"] == "tool"}
    records = []
    for turn, message in enumerate(m for m in trace.messages if m["role"] == "assistant"):
        for call in message.get("tool_calls", ()):
            name, arguments = call["function"]["name"], call["function"]["arguments"]
            error = None if call["id"] in answered else CallError.NOT_RUN
            error = error if name in listed else CallError.UNKNOWN_TOOL
            records.append(CallRecord(turn, name, arguments, error is None, error))
    return records


async def run_again(trajectory: Trajectory, toolbox: Toolbox) -> Trajectory | Rejection:
    """Run the calls of a trace again, where all of them are of tools at hand, and compare what they return.

    The trajectory then has the isolation that they ran with.
    """
    called = {call.name for call in trajectory.calls if call.ok}
    schemas = [schema for schema in _schemas(trajectory.task) if schema["function"]["name"] in called]
    task = replace(trajectory.task, tools=TaskTools(None, schemas))
    if not called or not toolbox.serves(task):
        return trajectory
    stored = [message["content"] for message in trajectory.messages if message["role"] == "tool"]
    calls: list[CallRecord] = []
    async with toolbox.lease(task) as executor:
        try:
            for call, text in zip(trajectory.calls, stored, strict=False):
                result = await executor.call(call.name or "", call.arguments, session=task.id)
                if call.ok and not same_result(result.text, text):
                    returned = f"{call.name} in turn {call.turn + 1} returned {result.text[:80]!r}"
                    return Rejection("different_result", f"{returned}, and the trace has {text[:80]!r}")
                calls.append(replace(call, seconds=result.seconds))
        finally:
            await executor.end_session(task.id)
    kept = [*calls, *trajectory.calls[len(calls) :]]
    return replace(trajectory, calls=kept, isolation=executor.isolation)


def same_result(text: str, other: str) -> bool:
    """Whether two results are the same text, the same number within TOLERANCE, or the same JSON value."""
    if text.strip() == other.strip():
        return True
    number, second = number_of(text), number_of(other)
    if number is not None and second is not None:
        return abs(number - second) <= TOLERANCE
    try:
        return same_value(loose_json(text), loose_json(other))
    except NotJsonError:
        return False


def count_traces(traces: Sequence[Trace]) -> dict[str, int]:
    """Count over traces: turns of the assistant and of the user, system messages, calls, results, tools by name.

    untrained_turns: of the assistant, with weight 0.
    """
    messages = [message for trace in traces for message in trace.messages]
    roles = Counter(message["role"] for message in messages)
    return {
        "turns": roles["assistant"],
        "user_turns": roles["user"],
        "system_messages": roles["system"],
        "calls": sum(len(trace.calls) for trace in traces),
        "results": roles["tool"],
        "tools": len({schema["function"]["name"] for trace in traces for schema in trace.tools or ()}),
        "untrained_turns": sum(message.get("weight") == 0 for message in messages if message["role"] == "assistant"),
    }


def kept_counts(kept: Sequence[Trajectory]) -> dict[str, int]:
    """Count calls of a tool that their row does not list, trajectories with an answer, and those run again."""
    calls = [call for trajectory in kept for call in trajectory.calls]
    return {
        "unlisted_calls": sum(call.error is CallError.UNKNOWN_TOOL for call in calls),
        "with_answer": sum(bool(trajectory.task.answer) for trajectory in kept),
        "reexecuted": sum(trajectory.isolation is not None for trajectory in kept),
    }


def _listed(counts: Mapping[str, int]) -> str:
    return ", ".join(f"{number} {name.replace('_', ' ')}" for name, number in counts.items() if number) or "nothing"


def _schemas(task: Task) -> list[dict[str, Any]]:
    return [] if task.tools is None else task.tools.schemas
