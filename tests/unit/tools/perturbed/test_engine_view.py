"""Calls of a perturbed task: run by the tools themselves, some of them failing. Real workers."""

import asyncio
import json
import random
from pathlib import Path

from mentor.tools import Toolbox, ToolExecutor, Toolset
from mentor.tools.perturbed.engine_view import FAILURES
from mentor.tools.worlds import draw_object, shown_result
from mentor.types import NO_TOOLS, CallError, Perturbation, Task, ToolResult

RENAMED = Perturbation("0/t", rename="made_up")


def run_calls(toolset: Toolset, perturbation: Perturbation, calls: list[tuple], **limits) -> list[ToolResult]:
    """Results of (own name, own arguments) in order, called as the tools are shown."""

    async def run() -> list[ToolResult]:
        async with ToolExecutor(toolset, **limits) as own:
            executor = own.perturbed(perturbation)
            shown = executor.toolset.shown
            assert shown is not None
            by_own = {name: new for new, name in shown.names.items()}
            made = []
            for name, arguments in calls:
                new = by_own.get(name, name)
                named = {own_name: key for key, own_name in shown.parameters.get(new, {}).items()}
                made.append((new, {named.get(key, key): value for key, value in arguments.items()}))
            return await executor.call_turn(made, "s")

    return asyncio.run(run())


def test_a_renamed_tool_is_run_by_the_tool_itself():
    toolset = Toolset.builtin("calculator")
    calls = [("subtract", {"a": 5, "b": 3}), ("round_number", {"x": 2.34, "digits": 1}), ("sqrt", {"x": -1})]
    two, rounded, root = run_calls(toolset, RENAMED, calls)
    assert (two.text, rounded.text) == ("2", "2.3") and root.error is CallError.EXCEPTION
    [text] = run_calls(toolset, RENAMED, [("add", {"a": "2", "b": 3})])
    assert text.text == "5", "text that holds a number is read as one, as without a perturbation"


def test_own_names_are_unknown_in_a_renamed_world():
    async def run() -> list[ToolResult]:
        async with ToolExecutor(Toolset.builtin("calculator")) as own:
            executor = own.perturbed(RENAMED)
            rounding = next(new for new, name in executor.toolset.shown.names.items() if name == "round_number")
            x = next(key for key, name in executor.toolset.shown.parameters[rounding].items() if name == "x")
            return [await executor.call("add", {"a": 1, "b": 2}), await executor.call(rounding, {x: 1.26, "digits": 1})]

    unknown, hidden = asyncio.run(run())
    assert unknown.error is CallError.UNKNOWN_TOOL and "sqrt" not in unknown.text
    assert hidden.error is CallError.INVALID_ARGUMENTS and "unexpected argument 'digits'" in hidden.text


def test_tools_with_a_state_keep_it_for_their_trajectory(tmp_path: Path):
    path = tmp_path / "tools.py"
    path.write_text("held = []\n\ndef put(thing: str) -> int:\n    held.append(thing)\n    return len(held)\n")
    toolset = Toolset.from_python(path, "monty")
    results = run_calls(toolset, RENAMED, [("put", {"thing": "x"}), ("put", {"thing": "y"})])
    assert [result.text for result in results] == ["1", "2"]


def test_a_distractor_runs_and_its_result_is_cut_as_a_tools():
    perturbation = Perturbation("0/t", distractors=1)
    toolset = Toolset.builtin("calculator")
    [tool] = toolset.perturbed(perturbation).shown.distractors.values()
    arguments = draw_object(tool.parameters, tool.parameters.get("$defs", {}), random.Random(0))
    whole = shown_result(tool.run(arguments))
    found = run_calls(toolset, perturbation, [(tool.name, arguments), ("add", {"a": 1, "b": 1})])
    assert [result.text for result in found] == [whole, "2"]
    [short] = run_calls(toolset, perturbation, [(tool.name, arguments)], max_output_chars=8)
    assert short.text == f"{whole[:8]} ...[cut, {len(whole)} characters]"


def test_calls_fail_at_the_rate_and_at_the_same_places():
    calls = [("add", {"a": 1, "b": number}) for number in range(400)]
    toolset, failing = Toolset.builtin("calculator"), Perturbation("0/t", failure_rate=0.25)
    first, second = run_calls(toolset, failing, calls), run_calls(toolset, failing, calls)
    failed = [result.error is CallError.EXCEPTION for result in first]
    assert [result.text for result in first] == [result.text for result in second]
    assert 70 <= sum(failed) <= 130, "of 400 calls 100 are expected, with a standard deviation of 9"
    texts = {json.loads(result.text)["message"] for result, fails in zip(first, failed, strict=True) if fails}
    assert texts == set(FAILURES)
    assert all(result.text == str(1 + b) for b, result in enumerate(first) if result.ok)
    other = run_calls(toolset, Perturbation("0/u", failure_rate=0.25), calls)
    assert [result.ok for result in other] != [result.ok for result in first]


def test_trajectories_of_perturbed_tasks_share_the_workers_of_their_toolset():
    tasks = [Task(f"t{k}", "q", ("1",), "", perturbation=Perturbation(f"0/t{k}", rename="suffix")) for k in range(20)]

    async def run() -> tuple[set[str], int]:
        async with Toolbox(Toolset.builtin("calculator")) as toolbox:
            texts = set()
            for task in tasks:
                async with toolbox.lease(task) as executor:
                    assert executor.toolset.schemas_json == toolbox.schemas_json(task)
                    name, *_ = executor.toolset.names
                    texts.add(
                        (await executor.call(name, dict.fromkeys(executor.toolset.shown.parameters[name], 2))).text
                    )
            return texts, len(toolbox._open)

    assert asyncio.run(run()) == ({"4"}, 1)
    without = Task("t", "q", ("1",), "", tools=NO_TOOLS, perturbation=Perturbation("0/t", distractors=3))
    assert Toolbox(None).schemas_json(without) == "[]", "a task that is asked without tools is shown none"
