"""Small trajectories for the tests of rewards."""

from collections.abc import Sequence
from typing import Any

from mentor.types import CallError, CallRecord, StopReason, Task, ToolCall, Trajectory


def call(name: str, error: CallError | None = None, **arguments: Any) -> CallRecord:
    return CallRecord(0, name, arguments, error is None, error)


HONEST = (call("divide", a=48, b=2), call("add", a=24, b=48))  # what the teacher of `make_trajectory` used


def make_trajectory(
    text: str = r"The answer is \boxed{72}.",
    calls: Sequence[CallRecord] = (),
    teacher: Sequence[str] | None = ("divide", "add"),
    answer: Sequence[str] = ("72",),
    stop_reason: StopReason = StopReason.ANSWERED,
) -> Trajectory:
    """A trajectory that ends in `text`; `teacher` names the tools of the reference."""
    reference = None if teacher is None else tuple(ToolCall(name, {"a": 1}) for name in teacher)
    messages = [{"role": "user", "content": "?"}, {"role": "assistant", "content": text}]
    return Trajectory(
        Task("t0", "?", tuple(answer), "calculator", reference=reference), messages, "[]", stop_reason, [*calls]
    )


def raw_row(turns: Sequence[tuple[str, Sequence[str]]], final: str, **changes: Any) -> dict[str, Any]:
    """A row in the released form: turns of (assistant text, tool replies), then the final turn."""
    text = ""
    for said, replies in turns:
        answers = "".join(f"<tool_response>{reply}</tool_response>\n" for reply in replies)
        text += f"{said}<|im_end|>\n<|im_start|>user\n{answers}<|im_end|>\n<|im_start|>assistant\n"
    row = {"id": "r0", "response": f"{text}{final}<|im_end|>", "eos": "<|im_end|>", "ground_truth": "72"}
    return {**row, "teacher_tools": ["divide", "add"], **changes}


def tool_call(name: str, arguments: str = '{"a": 48, "b": 2}') -> str:
    return f'<tool_call>\n{{"name": "{name}", "arguments": {arguments}}}\n</tool_call>'
