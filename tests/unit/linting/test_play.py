"""Adversarial answers on real tools: the project's rewards keep every order, the released ones break some."""

import pytest

from mentor.linting import Lint, lint_reward
from mentor.linting.play import play
from mentor.linting.rules import RULES
from mentor.rewards import build_reward, load_preset
from mentor.tools import Toolbox, Toolset
from mentor.types import CallError, StopReason, Task, ToolCall

TASK = Task(
    "t",
    "3 times 4, plus 2?",
    ("14",),
    "calculator",
    reference=(ToolCall("multiply", {"a": 3, "b": 4}), ToolCall("add", {"a": 12, "b": 2})),
)


def lint(name: str, chat, toolbox: Toolbox | None = None, task: Task = TASK, **changes) -> Lint:
    with build_reward(**{**load_preset(name), **changes}) as reward:
        return lint_reward(reward, [task], toolbox or Toolbox(Toolset.builtin("calculator")), chat)


def whys(found: Lint) -> set[str]:
    return {finding.rule.why for finding in found.findings}


@pytest.mark.parametrize("name", ["sparse", "strict", "flexible"])
def test_the_projects_rewards_keep_every_order(chat, name):
    assert lint(name, chat).findings == []


BOXES = {
    "an answer that was only thought is taken",
    "what a tool replied is taken as the answer",
    "an answer before the last call is taken",
}
NO_TOOLS = "where the teacher used no tool, the right answer is worth no more than a wrong one"
FREE = {"repeating calls is free", "malformed calls are free", "calls that never ran are paid"}


@pytest.mark.parametrize(
    ("name", "broken"),
    [
        ("released_sparse", BOXES),
        ("released_validity", BOXES | {"not to answer pays"}),
        ("released_mentor", BOXES | FREE | {"not to answer pays", NO_TOOLS}),
        ("released_f1", BOXES | FREE | {"not to answer pays", NO_TOOLS}),
        (
            "released_partial",
            BOXES | FREE | {"not to answer pays", NO_TOOLS, "calls of tools that do not exist are free"},
        ),
    ],
)
def test_the_released_ones_are_found_out(chat, name, broken):
    assert whys(lint(name, chat)) == broken


def test_weights_that_put_tools_above_the_answer_are_found(chat):
    found = lint("flexible", chat, weights={"correct": 0.1, "tool": 0.9, "valid": 0.0}, wrong_scale=1.0)
    assert whys(found) == {"tool use outweighs the answer"}
    assert "'honest, wrong answer' scores 0.900, 'no tool, right answer' 0.100 (task t)" in str(found.findings[0])


def test_tools_and_answers_of_the_users_own(chat, tmp_path):
    path = tmp_path / "tools.py"
    path.write_text(
        'def capital(country: str) -> str:\n    """Its capital."""\n    return {"France": "Paris"}[country]\n'
    )
    task = Task("own", "Capital of France?", ("Paris",), "", reference=(ToolCall("capital", {"country": "France"}),))
    found = lint("flexible", chat, Toolbox(Toolset.from_python(path)), task)
    assert found.findings == [] and found.scores["own"]["honest, wrong answer"] == pytest.approx(0.16)
    lines = found.table().splitlines()
    assert lines[0] == "reward of task 1: own" and lines[2].split() == ["1.000", "honest"]
    shown = [float(line.split()[0]) for line in lines[2:]]
    assert shown == sorted(shown, reverse=True) and len(shown) == len(found.scores["own"])


def test_cases_are_parsed_and_executed_as_a_models_turns_are(chat):
    ((_, cases, played),) = play([TASK], Toolbox(Toolset.builtin("calculator")), chat)
    by_name = dict(zip((case.name for case in cases), played, strict=True))
    assert {rule.better for rule in RULES} | {rule.worse for rule in RULES} <= by_name.keys()
    honest = by_name["honest"]
    assert honest.executed_calls() == list(TASK.reference) and honest.stop_reason is StopReason.ANSWERED
    assert [call.error for call in by_name["unknown tool before"].calls] == [CallError.UNKNOWN_TOOL, None, None]
    assert [call.error for call in by_name["malformed calls before"].calls][:2] == [CallError.MALFORMED] * 2
    assert by_name["calls in thinking only"].calls == [] and by_name["cut before the end"].final_text is None
    assert r"\boxed{14}" in by_name["box in a call and its reply only"].messages[-2]["content"]
