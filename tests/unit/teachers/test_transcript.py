"""Executing a program as a conversation, and comparing its result with the gold answer."""

import asyncio

from mentor.tasks.programs import reference, step
from mentor.teachers.outcomes import Rejection
from mentor.teachers.transcript import execute, matching_answer, shown_value
from mentor.tools import ToolExecutor, Toolset
from mentor.types import StopReason, Task, Trajectory


def executed(program, answer):
    async def run():
        async with ToolExecutor(Toolset.builtin("calculator")) as executor:
            return await execute(program, Task("t", "q", (answer,), "calculator"), executor)

    return asyncio.run(run())


def test_a_later_call_takes_an_earlier_result_and_the_last_one_is_the_answer():
    outcome = executed([step("add", a=2, b=3), step("multiply", a=reference(0), b=4)], "20")
    assert isinstance(outcome, Trajectory) and outcome.stop_reason is StopReason.ANSWERED
    assert [call.arguments for call in outcome.calls] == [{"a": 2, "b": 3}, {"a": 5, "b": 4}]
    assert [message["content"] for message in outcome.messages if message["role"] == "tool"] == ["5", "20"]
    assert outcome.final_text == r"The answer is \boxed{20}."
    assert outcome.task.reference == tuple(outcome.executed_calls())


def test_a_call_that_fails_and_a_result_that_is_not_the_answer_are_rejections():
    failed = executed([step("divide", a=1, b=0), step("add", a=1, b=1)], "2")
    assert isinstance(failed, Rejection) and failed.reason == "execution_error" and failed.detail.startswith("divide(")
    assert executed([step("add", a=2, b=3)], "6") == Rejection("wrong_result", "executed 5, the answer is 6")


def test_shown_values_and_matching():
    assert [shown_value(text) for text in ("24", "-0.5", "NYC", "inf")] == [24, -0.5, "NYC", "inf"]
    assert matching_answer("0.3333333", ("1", "0.3333335")) == "0.3333335"
    assert matching_answer("0.3333", ("0.3333335",)) is None
    assert matching_answer("1000", ("1,000",)) == "1,000" and matching_answer("nan", ("nan1",)) is None
