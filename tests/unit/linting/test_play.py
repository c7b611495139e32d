"""Adversarial answers on real tools: the project's rewards keep every order, the released ones break some."""

import re
from dataclasses import replace

import pytest

from mentor.conf_dir import conf_dir
from mentor.errors import GraderError
from mentor.linting import Lint, lint_reward
from mentor.linting.play import play
from mentor.linting.rules import RULES
from mentor.rewards import build_reward, load_preset
from mentor.rewards.answer_formats import FORMATS
from mentor.tools import Toolbox, Toolset
from mentor.types import CallError, StopReason, Task, ToolCall
from tests.fixtures.call_templates import CALL_TEMPLATES
from tests.fixtures.chat_templates import OPENS_AND_LEAVES_OUT, OPENS_THINKING, THINKING, with_template
from tests.fixtures.end_templates import THREE_ENDS, with_ends
from tests.fixtures.judge_server import JudgeServer, write_rubric
from tests.fixtures.own_rewards import write_rewards
from tests.unit.endpoints.test_background import opened

TASK = Task(
    "t",
    "3 times 4, plus 2?",
    ("14",),
    "calculator",
    reference=(ToolCall("multiply", {"a": 3, "b": 4}, "12"), ToolCall("add", {"a": 12, "b": 2}, "14")),
)


def lint(name: str, chat, toolbox: Toolbox | None = None, task: Task = TASK, **changes) -> Lint:
    with build_reward(**{**load_preset(name), **changes}) as reward:
        return lint_reward(reward, [task], toolbox or Toolbox(Toolset.builtin("calculator")), chat)


def test_turns_are_played_with_the_end_of_their_kind(chat):
    one = with_ends(chat, THREE_ENDS)
    ((_, cases, played),) = play([TASK], Toolbox(Toolset.builtin("calculator")), one)
    (honest,) = (trajectory for case, trajectory in zip(cases, played, strict=True) if case.name == "honest")
    text = one.decode(honest.tokens.token_ids)
    assert honest.stop_reason is StopReason.ANSWERED and text.count("</tool_call><|call|><|start|>tool") == 2
    assert text.count("<|call|>") == 2 and text.count("<|return|>") == 1 and text.endswith("<|return|>")


def whys(found: Lint) -> set[str]:
    return {finding.rule.why for finding in found.findings}


@pytest.mark.parametrize("name", ["sparse", "strict", "flexible", "flexible_f1", "results"])
def test_the_projects_rewards_keep_every_order(chat, name):
    assert lint(name, chat).findings == []


@pytest.mark.parametrize("form", [*FORMATS, r"re:Answer: (\d+)"])
def test_every_order_is_kept_in_every_answer_format(chat, form):
    found = lint("flexible", chat, task=replace(TASK, answer_format=form))
    assert found.findings == [] and found.scores["t"]["honest"] == 1.0 > found.scores["t"]["honest, wrong answer"]


@pytest.mark.parametrize("template", [OPENS_THINKING, OPENS_AND_LEAVES_OUT, THINKING], ids=["opens", "r1", "thinks"])
def test_every_order_is_kept_where_the_template_thinks(chat, template):
    found = lint("results", with_template(chat, template))
    assert found.findings == [] and found.scores["t"]["honest"] == 1.0 > found.scores["t"]["no answer"]


@pytest.mark.parametrize("template", ["xml_function", "lfm2", "mistral", "json_list", "gemma"])
def test_every_order_is_kept_in_every_call_syntax(chat, template):
    found = lint("results", with_template(chat, CALL_TEMPLATES[template]))
    assert found.findings == [] and found.scores["t"]["honest"] == 1.0 > found.scores["t"]["malformed calls before"]


def test_a_case_that_a_task_lacks_is_a_dash_in_the_table():
    rows = Lint({"one": {"honest": 1.0, "repeats": 0.5}, "two": {"honest": 1.0}}, []).table().splitlines()
    assert rows[-2:] == ["   1.000   1.000  honest", "   0.500       -  repeats"]


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


def documented_totals() -> dict[str, float]:
    page = (conf_dir().parent / "docs" / "rewards.md").read_text(encoding="utf-8")
    part = page.partition("### What `results` pays")[2].partition("## Reward lint")[0]
    return {name: float(total) for name, total in re.findall(r"^\| (.+?) \| ([\d.]+) \|", part, re.MULTILINE)}


# total = 0.68 + 0.3 * match + 0.02 * valid for a right answer, match = 2 * shared / (calls + 2)
RESULT_TOTALS = {
    "honest": 1.0,
    "honest, wrong answer": 0.3 + 0.02,
    "no tool, right answer": 0.68,  # valid is 0 without any call
    "repeats": 0.68 + 0.3 * (1 + 2 / 10) / 2 + 0.02,
    "results guessed as arguments": 0.68 + 0.02,
    "answer guessed as an argument": 0.68 + 0.02,
    "number of the question returned before": 0.68 + 0.3 * (1 + 2 / 3) / 2 + 0.02,
    "many arguments tried": 0.68 + 0.3 * (1 + 2 / 30) / 2 + 0.02,
    "many arguments tried in one turn": 0.68 + 0.3 * (1 + 2 / 30) / 2 + 0.02,
    "one number after the other tried": 0.68 + 0.3 * 1 / 2 + 0.02,
    "calls in reverse order": 0.68 + 0.3 * 1 / 2 + 0.02,
    "failing calls between": 0.68 + 0.3 * (1 + 2 / 4) / 2 + 0.02 / 2,
    "malformed calls before": 0.68 + 0.3 * (1 + 2 / 4) / 2 + 0.02 / 2,
    "calls after the answer": 0.68 + 0.3 * (1 + 2 / 3) / 2 + 0.02,
    "replies written by the student": 0.68,
    "the same tools with nonsense": 0.68 + 0.02,
    "every result several times": 0.68 + 0.3 * (1 + 2 / 10) / 2 + 0.02,
    "every result in two forms": 0.68 + 0.3 * (1 + 2 / 4) / 2 + 0.02,
}


def test_what_results_pays_by_hand_and_in_the_docs(chat):
    scores = lint("results", chat).scores["t"]
    assert {name: scores[name] for name in RESULT_TOTALS} == pytest.approx(RESULT_TOTALS)
    assert all(total < scores["honest"] for name, total in RESULT_TOTALS.items() if name != "honest")
    assert documented_totals() == pytest.approx(RESULT_TOTALS, abs=0.0005)
    of_results = {rule.worse for rule in RULES if rule.of_results}
    assert of_results <= RESULT_TOTALS.keys() and lint("flexible", chat).scores["t"].keys() & of_results == {
        "no tool, right answer"
    }


def test_a_matcher_of_names_that_is_said_to_compare_results_is_found(chat):
    with build_reward(**load_preset("flexible")) as reward:
        reward.compares_results = True
        found = lint_reward(reward, [TASK], Toolbox(Toolset.builtin("calculator")), chat)
    assert whys(found) == {"names without their results are paid"}


def test_a_teacher_whose_only_call_is_such_an_exploit_breaks_no_rule(chat):
    call = ToolCall("abs_value", {"x": 5}, "5")
    task = Task("echo", "Absolute value of 5?", ("5",), "calculator", reference=(call,))
    found = lint("results", chat, task=task)
    assert found.findings == []
    assert found.scores["echo"]["results guessed as arguments"] == found.scores["echo"]["honest"] == 1.0


def test_weights_that_put_tools_above_the_answer_are_found(chat):
    found = lint("flexible", chat, weights={"correct": 0.1, "tool": 0.9, "valid": 0.0}, wrong_scale=1.0)
    assert whys(found) == {"tool use outweighs the answer"}
    assert "'honest, wrong answer' scores 0.900, 'no tool, right answer' 0.100 (task t)" in str(found.findings[0])


def test_tools_and_answers_of_the_users_own(chat, tmp_path):
    path = tmp_path / "tools.py"
    path.write_text(
        'def capital(country: str) -> str:\n    """Its capital."""\n    return {"France": "Paris"}[country]\n'
    )
    calls = (ToolCall("capital", {"country": "France"}, "Paris"),)
    task = Task("own", "Capital of France?", ("Paris",), "", reference=calls)
    assert lint("results", chat, Toolbox(Toolset.from_python(path)), task).findings == []
    found = lint("flexible", chat, Toolbox(Toolset.from_python(path)), task)
    assert found.findings == [] and found.scores["own"]["honest, wrong answer"] == pytest.approx(0.06)
    lines = found.table().splitlines()
    assert lines[0] == "reward of task 1: own" and lines[2].split() == ["1.000", "honest"]
    shown = [float(line.split()[0]) for line in lines[2:]]
    assert shown == sorted(shown, reverse=True) and len(shown) == len(found.scores["own"])


def test_cases_are_parsed_and_executed_as_a_models_turns_are(chat):
    ((_, cases, played),) = play([TASK], Toolbox(Toolset.builtin("calculator")), chat, of_results=True)
    by_name = dict(zip((case.name for case in cases), played, strict=True))
    assert {rule.better for rule in RULES} | {rule.worse for rule in RULES} <= by_name.keys()
    honest = by_name["honest"]
    assert honest.executed_calls() == list(TASK.reference) and honest.stop_reason is StopReason.ANSWERED
    assert [call.error for call in by_name["unknown tool before"].calls] == [CallError.UNKNOWN_TOOL, None, None]
    assert [call.error for call in by_name["malformed calls before"].calls][:2] == [CallError.MALFORMED] * 2
    assert by_name["calls in thinking only"].calls == [] and by_name["cut before the end"].final_text is None
    assert r"\boxed{14}" in by_name["answer in a call and its reply only"].messages[-2]["content"]


def test_a_term_and_a_grader_of_the_users_own_are_tried(chat, tmp_path):
    path, terms = write_rewards(tmp_path), load_preset("flexible")["terms"]
    small, large = ({**terms, "own": {"term": f"{path}:brief", "weight": weight}} for weight in (0.1, 1.0))
    assert lint("flexible", chat, terms=small).findings == []
    assert "leaving the tools out pays more than using them" in whys(lint("flexible", chat, terms=large))
    assert "a wrong answer is worth as much as the right one" in whys(lint("flexible", chat, grader=f"{path}:says_14"))
    with pytest.raises(GraderError, match="task t: the grader gave no verdict on 'honest', .*ZeroDivisionError"):
        lint("flexible", chat, terms={**terms, "own": {"term": f"{path}:raises", "weight": 0.1}})


def test_a_judge_is_tried(chat, tmp_path):
    pytest.importorskip("openai")
    rubric = f"judge:{write_rubric(tmp_path)}"
    with JudgeServer() as server, opened(tmp_path / "judge", server) as endpoint:
        settings = load_preset("sparse") | {"grader": rubric}
        with build_reward(None, print, endpoint, **settings) as reward:
            found = lint_reward(reward, [TASK], Toolbox(Toolset.builtin("calculator")), chat)
    assert "a wrong answer is worth as much as the right one" in whys(found)  # it takes 72 for right, here it is 14
