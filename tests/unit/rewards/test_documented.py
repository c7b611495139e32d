"""docs/rewards.md says what each way of working scores: the same rows, scored here."""

import json
import re

import pytest

from mentor.conf_dir import conf_dir
from mentor.rewards import build_reward, load_preset
from mentor.rewards.grader_pool import GraderPool
from mentor.rewards.raw import raw_trajectory

PAGE = conf_dir().parent / "docs" / "rewards.md"
COLUMNS = ("flexible", "flexible_f1", "strict", "sparse", "released_mentor")
END = "<|im_end|>"


def call(name: str, **arguments: object) -> str:
    return f"<tool_call>\n{json.dumps({'name': name, 'arguments': arguments})}\n</tool_call>"


def turn(text: str, reply: str) -> str:
    """An assistant turn with a call, the tool's reply, and the start of the next turn."""
    return f"{text}{END}\n<|im_start|>user\n<tool_response>\n{reply}\n</tool_response>{END}\n<|im_start|>assistant\n"


def failed(text: str, kind: str) -> str:
    return turn(text, json.dumps({"error": kind, "message": "no"}))


RIGHT, WRONG = f"The answer is \\boxed{{14}}.{END}", f"The answer is \\boxed{{15}}.{END}"
MULTIPLY, ADD = call("multiply", a=3, b=4), call("add", a=12, b=2)
TEACHER = turn(MULTIPLY, "12") + turn(ADD, "14")
JUNK = turn(call("multiply", a=0, b=0), "0") + turn(call("add", a=0, b=0), "0")
OTHER_TOOLS = [
    "subtract",
    "divide",
    "sum_numbers",
    "floor",
    "ceil",
    "round_number",
    "power",
    "sqrt",
    "abs_value",
    "modulo",
]
SHOTGUN = TEACHER + "".join(turn(call(name, x=3), "3") for name in OTHER_TOOLS)
SUMS = turn(call("sum_numbers", numbers=[4, 4, 4]), "12") + turn(call("sum_numbers", numbers=[12, 2]), "14")
MALFORMED = failed("<tool_call>\n{multiply 3 4}\n</tool_call>", "malformed")

RESPONSES = {
    "as the teacher, right": TEACHER + RIGHT,
    "as the teacher, wrong": TEACHER + WRONG,
    "no tool, right": RIGHT,
    "no tool, wrong": WRONG,
    "another way (`sum_numbers` twice), right": SUMS + RIGHT,
    "other order, right": turn(ADD, "14") + turn(MULTIPLY, "12") + RIGHT,
    "right names with junk arguments, right": JUNK + RIGHT,
    "right names with junk arguments, wrong": JUNK + WRONG,
    "all twelve tools once, right": SHOTGUN + RIGHT,
    "all twelve tools once, wrong": SHOTGUN + WRONG,
    "the teacher's calls five times, right": TEACHER * 5 + RIGHT,
    "one call of some known tool, wrong": turn(call("abs_value", x=1), "1") + WRONG,
    "one failing call before, right": failed(call("divide", a=1, b=0), "exception") + TEACHER + RIGHT,
    "two malformed calls before, right": MALFORMED * 2 + TEACHER + RIGHT,
    "an unknown tool before, right": failed(call("calculate", text="3*4+2"), "unknown_tool") + TEACHER + RIGHT,
    "the calls written inside thinking only, right": f"<think>{MULTIPLY}{ADD}</think>{RIGHT}",
    "box only in thinking": f"{TEACHER}<think>\\boxed{{14}}</think>It is 14.{END}",
    "box only in a tool's reply": turn(MULTIPLY, "12") + turn(ADD, "\\boxed{14}") + f"Done.{END}",
    "two boxes, the last one right": f"{TEACHER}\\boxed{{15}} or \\boxed{{14}}{END}",
    "two answers in one box (`14 or 15`)": f"{TEACHER}\\boxed{{14 or 15}}{END}",
    "a list of answers in one box (`13, 14, 15`)": f"{TEACHER}\\boxed{{13, 14, 15}}{END}",
    "the sum restated in the box (`3*4+2`), no tool": f"\\boxed{{3*4+2}}{END}",
    "box in a turn that still calls a tool": f"{turn(MULTIPLY, '12')}{ADD}\\boxed{{14}}{END}",
    "cut before the end of the final turn": TEACHER + RIGHT.removesuffix(END),
    "no box": f"{TEACHER}The answer is 14.{END}",
    "the teacher used no tool: none used, right": RIGHT,
    "the teacher used no tool: one used, right": turn(ADD, "14") + RIGHT,
}


def documented() -> dict[str, list[float]]:
    """The numbers of the table's rows by their first cell."""
    _, _, part = PAGE.read_text(encoding="utf-8").partition("## What can be exploited")
    rows = re.findall(r"^\| (.+?) \| ([\d.]+) \| ([\d.]+) \| ([\d.]+) \| ([\d.]+) \| ([\d.]+) \|", part, re.MULTILINE)
    return {name: [float(number) for number in numbers] for name, *numbers in rows}


def test_every_row_of_the_table_scores_what_it_says():
    table = documented()
    assert table.keys() == RESPONSES.keys()
    with GraderPool(1) as pool:
        rewards = [build_reward(pool, **load_preset(name)) for name in COLUMNS]
        for name, response in RESPONSES.items():
            teacher = [] if name.startswith("the teacher used no tool") else ["multiply", "add"]
            row = {"id": name, "response": response, "eos": END, "ground_truth": "14", "teacher_tools": teacher}
            trajectory = raw_trajectory(row, name)
            totals = [reward.score([trajectory])[0].total for reward in rewards]
            assert totals == pytest.approx(table[name], abs=0.0005), name
        for reward in rewards:
            reward.close()


@pytest.mark.parametrize(("answer", "expected"), [("180", (0.85, 0.82, 0.7, 1.0)), ("181", (0.03, 0.124, 0.1, 0.0))])
def test_the_worked_example(answer: str, expected: tuple[float, ...]):
    response = (
        "".join(turn(call("add", a=a, b=b), str(a + b)) for a, b in [(8, 69), (77, 71), (148, 32)])
        + f"\\boxed{{{answer}}}{END}"
    )
    row = {"id": 1, "response": response, "eos": END, "ground_truth": "180", "teacher_tools": ["sum_numbers", "add"]}
    for name, total in zip(COLUMNS[:4], expected, strict=True):
        with build_reward(**load_preset(name)) as reward:
            assert reward.score([raw_trajectory(row, "row")])[0].total == pytest.approx(total)
            assert f"{total:g}" in PAGE.read_text(encoding="utf-8")


def test_the_users_own_term_and_grader_that_the_page_shows(tmp_path):
    source = PAGE.read_text(encoding="utf-8").split("```python\n")[1].split("```")[0]
    (tmp_path / "my_rewards.py").write_text(source)
    calls = [call("add", a=a, b=b) for a, b in [(8, 69), (77, 71), (148, 32)]]
    response = (
        "".join(turn(text, str(n)) for text, n in zip(calls, (77, 148, 180), strict=True)) + f"\\boxed{{180}}{END}"
    )
    row = {"id": 1, "response": response, "eos": END, "ground_truth": "180", "teacher_tools": ["sum_numbers", "add"]}
    settings = load_preset("flexible")
    economy = {"term": f"{tmp_path}/my_rewards.py:economy", "weight": 0.1}
    with build_reward(**{**settings, "terms": {**settings["terms"], "economy": economy}}) as reward:
        (found,) = reward.score([raw_trajectory(row, "row")])
    assert found.terms["economy"] == 0.75 and found.total == pytest.approx(0.925)
    assert "= **0.925**" in PAGE.read_text(encoding="utf-8")
    unboxed = {**row, "response": response.replace("\\boxed{180}", "About 181.")}
    with build_reward(**{**settings, "grader": f"{tmp_path}/my_rewards.py:near"}) as reward:
        assert reward.score([raw_trajectory(unboxed, "row")])[0].terms["correct"] == 1.0


def test_what_a_weak_student_earns_call_by_call():
    page = PAGE.read_text(encoding="utf-8").partition("| after call |")[2].partition("\n\n")[0]
    made = [turn(call(name, x=1), "1") for name in ("add", "sqrt", "multiply", "power")]
    for name in ("flexible", "flexible_f1"):
        said = [float(cell) for cell in re.findall(rf"\| `{name}` \|(.*)\|", page)[0].split("|")]
        with build_reward(**load_preset(name)) as reward:
            for calls, expected in enumerate(said, 1):
                row = {"id": 1, "response": "".join(made[:calls]) + WRONG, "eos": END, "ground_truth": "14"}
                row["teacher_tools"] = ["multiply", "add", "subtract", "add"]
                assert reward.score([raw_trajectory(row, "row")])[0].total == pytest.approx(expected, abs=0.0005)


def test_what_is_left_of_guidance_that_fades():
    rows = [TEACHER + RIGHT, turn(MULTIPLY, "12") + WRONG, WRONG, WRONG]
    row = {"id": 1, "eos": END, "ground_truth": "14", "teacher_tools": ["multiply", "add"]}
    with build_reward(**load_preset("flexible")) as reward:
        found = reward.score([raw_trajectory({**row, "response": response}, "row") for response in rows])
    totals = [breakdown.scaled({"match", "valid"}, 1 - 1 / 4).total for breakdown in found]
    assert totals == pytest.approx([0.9, 0.0225, 0, 0])
    page = PAGE.read_text(encoding="utf-8")
    assert "= **0.9** and" in page and "= **0.0225**" in page
