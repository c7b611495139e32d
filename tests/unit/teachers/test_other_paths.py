"""Another path to the teacher's results without one of its tools, executed by the calculator."""

import asyncio
from collections import Counter

import pytest

from mentor.stages.benchmark_tasks import with_reference
from mentor.tasks import load_tasks
from mentor.teachers.other_paths import other_path, without_a_tool
from mentor.tools import Toolbox, ToolExecutor, Toolset
from mentor.types import NamedCall, Perturbation, Task, ToolCall


def look(use, *arguments):
    async def run():
        async with ToolExecutor(Toolset.builtin("calculator")) as executor:
            return await use(*arguments, executor)

    return asyncio.run(run())


def task(*calls: ToolCall) -> Task:
    return Task("t", "q", ("1",), "calculator", reference=calls, perturbation=Perturbation("0/t"))


@pytest.mark.parametrize(
    ("name", "arguments", "path"),
    [
        ("add", {"a": 2, "b": 3}, ["sum_numbers 5"]),
        ("subtract", {"a": 2, "b": 3}, ["add -1"]),
        ("multiply", {"a": 2.5, "b": 4.0}, ["sum_numbers 10"]),
        ("multiply", {"a": 5, "b": 12.5}, ["sum_numbers 62.5"]),
        ("multiply", {"a": 12, "b": 12.5}, None),
        ("divide", {"a": 10, "b": 4}, ["multiply 2.5"]),
        ("divide", {"a": 10, "b": 5}, ["power 0.2", "multiply 2"]),
        ("divide", {"a": 42, "b": 7}, None),  # 42 * 0.142857142857 as shown is not 6
        ("modulo", {"a": 17, "b": 5}, ["divide 3.4", "floor 3", "multiply 15", "subtract 2"]),
        ("power", {"base": 3, "exponent": 3}, ["multiply 9", "multiply 27"]),
        ("sum_numbers", {"numbers": [1, 2, 3]}, ["add 3", "add 6"]),
        ("sum_numbers", {"numbers": [1]}, None),
        ("floor", {"x": 2.7}, ["ceil 3", "subtract 2"]),
        ("floor", {"x": 2}, None),
        ("ceil", {"x": 2.2}, ["floor 2", "add 3"]),
        ("round_number", {"x": 2.34, "digits": 1}, ["multiply 23.4", "add 23.9", "floor 23", "divide 2.3"]),
        ("sqrt", {"x": 49}, ["power 7"]),
        ("abs_value", {"x": -4}, ["multiply 4"]),
        ("abs_value", {"x": 4}, None),
        ("sqrt", {"x": -4}, None),  # the teacher's own call fails
    ],
)
def test_a_call_is_replaced_by_others_with_its_result(name, arguments, path):
    found = look(other_path, task(ToolCall(name, arguments)), name)
    assert path == (None if found is None else [f"{call.name} {call.result}" for call in found])


def test_every_call_of_the_missing_tool_is_replaced_and_the_others_stay():
    kept = ToolCall("floor", {"x": 12.5}, "12")
    given = task(ToolCall("add", {"a": 1, "b": 2}, "3"), kept, ToolCall("add", {"a": 3, "b": 4}, "7"))
    sums = [ToolCall("sum_numbers", {"numbers": [1, 2]}, "3"), ToolCall("sum_numbers", {"numbers": [3, 4]}, "7")]
    assert look(other_path, given, "add") == (sums[0], kept, sums[1])
    found = look(without_a_tool, given)
    assert found.perturbation.missing in ("add", "floor") and found == look(without_a_tool, given)


def test_a_task_without_another_path_is_none():
    assert look(without_a_tool, task(ToolCall("abs_value", {"x": 4}))) is None
    assert look(without_a_tool, task()) is None
    assert look(without_a_tool, task(NamedCall("add"))) is None


def test_most_generated_questions_have_another_path_that_ends_in_their_answer():
    tasks = load_tasks("calculator", split="test", size=60)
    tasks = asyncio.run(with_reference(tasks, "oracle", Toolbox(Toolset.builtin("calculator"))))

    async def every(executor):
        given = [Task(**{**vars(task), "perturbation": Perturbation(f"0/{task.id}")}) for task in tasks]
        return [await without_a_tool(task, executor) for task in given]

    found = [other for other in look(every) if other is not None]
    assert len(found) >= 50
    for other in found:
        assert float(other.reference[-1].result) == float(other.answer[0])
        assert other.perturbation.missing not in {call.name for call in other.reference}
    assert len(Counter(other.perturbation.missing for other in found)) >= 8
