"""Annotations to calls by hand, every rejection, equations in prose, reference calls, real GSM8K."""

import json
import re
from dataclasses import replace

import pytest

from mentor.calls.gold import gold_calls
from mentor.calls.schemas import check_schema
from mentor.rewards.call_judge import calls_verdict
from mentor.tasks import load_tasks
from mentor.tasks.programs import reference
from mentor.teachers import Rejection, build_teacher
from mentor.teachers.annotated import NO_CALL, UnparsableError, solution_program
from mentor.tools import Toolset
from mentor.types import CallError, GoldCalls, NamedCall, StopReason, Task, TaskTools, ToolCall, Trajectory
from tests.fixtures.teacher_rollouts import solve


def worked(solution, answer="72"):
    return Task("t-0", "How many?", (answer,), "calculator", source={"solution": solution})


def calls_of(text):
    return [(entry["name"], list(entry["arguments"].values())) for entry in solution_program(f"so <<{text}>> it is")]


FIRST, SECOND, THIRD = reference(0), reference(1), reference(2)


@pytest.mark.parametrize(
    ("annotation", "calls"),
    [
        ("48/2=24", [("divide", [48, 2])]),
        ("(5+3)*2-1=15", [("add", [5, 3]), ("multiply", [FIRST, 2]), ("subtract", [SECOND, 1])]),
        ("10-2*3=4", [("multiply", [2, 3]), ("subtract", [10, FIRST])]),
        ("2*(3+4)/(1+1)=7", [("add", [3, 4]), ("multiply", [2, FIRST]), ("add", [1, 1]), ("divide", [SECOND, THIRD])]),
        (".5*20=10", [("multiply", [0.5, 20])]),
        ("20.00*.10=2", [("multiply", [20, 0.1])]),
        ("20%*50=10", [("divide", [20, 100]), ("multiply", [FIRST, 50])]),
        ("50*20%=10", [("divide", [20, 100]), ("multiply", [50, FIRST])]),
        ("-5+8=3", [("add", [-5, 8])]),
        ("-(5+3)=-8", [("add", [5, 3]), ("subtract", [0, FIRST])]),
        ("+4*2=8", [("multiply", [4, 2])]),
        ("3x4=12", [("multiply", [3, 4])]),
        ("3 X 4=12", [("multiply", [3, 4])]),
        ("6×2÷3−1=3", [("multiply", [6, 2]), ("divide", [FIRST, 3]), ("subtract", [SECOND, 1])]),
        ("05+007=12", [("add", [5, 7])]),
        ("$1,000/4=250", [("divide", [1000, 4])]),
        ("2^3=8", [("power", [2, 3])]),
        ("7//2=3", [("divide", [7, 2]), ("floor", [FIRST])]),
        ("17%5=2", [("modulo", [17, 5])]),
        ("[2+3]*2=10", [("add", [2, 3]), ("multiply", [FIRST, 2])]),
        ("24=24", []),
        ("3*4=2*6=12", [("multiply", [3, 4])]),
    ],
)
def test_annotation_becomes_calls_in_evaluation_order(annotation, calls):
    assert calls_of(annotation) == calls


@pytest.mark.parametrize(
    "text", ["2x+3=7", "=5", "5*=5", "abs(3)=3", "1 2=3", "9" * 201, "True+1=2", "'a'*3=3", "1e999*2=3"]
)
def test_what_is_no_arithmetic_is_refused(text):
    with pytest.raises(UnparsableError):
        calls_of(text)


def test_worked_answer_becomes_an_executed_conversation():
    solution = "In May <<48/2=24>>24 clips. In all <<48+24=72>>72 clips.\n#### 72"
    (trajectory,) = solve([worked(solution)], build_teacher("annotated"))
    assert [call.to_dict() for call in trajectory.executed_calls()] == [
        {"name": "divide", "arguments": {"a": 48, "b": 2}, "result": "24"},
        {"name": "add", "arguments": {"a": 48, "b": 24}, "result": "72"},
    ]
    assert [message["role"] for message in trajectory.messages] == ["user", *["assistant", "tool"] * 2, "assistant"]
    assert trajectory.messages[3] == {
        "role": "assistant",
        "content": "",
        "tool_calls": [
            {"id": "call_1", "type": "function", "function": {"name": "add", "arguments": {"a": 48, "b": 24}}}
        ],
    }
    assert trajectory.messages[4] == {"role": "tool", "tool_call_id": "call_1", "name": "add", "content": "72"}
    assert trajectory.final_text == "The answer is \\boxed{72}."
    assert trajectory.stop_reason is StopReason.ANSWERED and trajectory.tokens is None
    assert trajectory.task.reference == tuple(trajectory.executed_calls())
    assert [call.turn for call in trajectory.calls] == [0, 1]
    assert Trajectory.from_dict(json.loads(json.dumps(trajectory.to_dict()))).messages == trajectory.messages


def test_parts_of_a_compound_expression_are_passed_on_as_shown():
    (trajectory,) = solve([worked("<<10/3*3=10>>", "10")], build_teacher("annotated"))
    shown = trajectory.messages[2]["content"]
    assert trajectory.calls[1].arguments["a"] == float(shown) and trajectory.calls[1].arguments["b"] == 3


@pytest.mark.parametrize(
    ("solution", "answer", "reason", "detail"),
    [
        ("x is 72.\n#### 72", "72", "no_annotation", "no <<expression=value>>"),
        ("<<72=72>>72", "72", "no_annotation", "with an operation"),
        ("<<2x+3=7>>", "7", "unparsable", "2x+3=7"),
        ("<<5/0=5>>", "5", "execution_error", "divide"),
        ("<<2+3=5>>", "6", "wrong_result", "executed 5, the answer is 6"),
        ("<<2+3=6>>", "6", "wrong_result", "executed 5, the answer is 6"),  # only what was executed counts
        ("<<2*4=8>>8, then <<8*2=16>>16", "8", "wrong_result", "executed 16, the answer is 8"),
    ],
)
def test_rejections_of_worked_answers(solution, answer, reason, detail):
    (outcome,) = solve([worked(solution, answer)], build_teacher("annotated"))
    assert isinstance(outcome, Rejection)
    assert outcome.reason == reason and detail in outcome.detail and "\n" not in outcome.detail


@pytest.mark.parametrize(
    ("solution", "names"),
    [
        ("It costs <<1600+400=2000>>2000. She got $2000/$8 = 250 kg.\n#### 250", ["add", "divide"]),
        ("She got 5 * 50 = 250.\n#### 250", ["multiply"]),
        ("Half: 1,000 / 2 = 500 and 500/2=250", ["divide", "divide"]),
    ],
)
def test_equations_in_prose_complete_a_chain(solution, names):
    (trajectory,) = solve([worked(solution, "250")], build_teacher("annotated"))
    assert [call.name for call in trajectory.calls] == names


@pytest.mark.parametrize(
    "prose", ["42 trips * 500/2 = 250", "x+500/2 = 250", "499/2 = 250", "9**9**9 = 250", "5 x 500/2 = 250"]
)
def test_prose_that_is_no_whole_true_equation_is_left_alone(prose):
    assert solution_program(prose, prose=True) == []


def test_prose_is_not_used_where_the_annotations_suffice():
    (trajectory,) = solve([worked("6*12 = 72 because <<70+2=72>>72; 1+1 = 2")], build_teacher("annotated"))
    assert [call.name for call in trajectory.calls] == ["add"]


BOX_TOOLS = '''
box = {}

def put(name: str, value: int) -> str:
    """Put a value into the box.

    Args:
        name: Key.
        value: Value.
    """
    box[name] = value
    return ",".join(box)
'''


def referenced(answer, *calls):
    return Task("row-1", "q", answer, "", reference=tuple(calls) if calls else ())


def test_reference_calls_are_executed_and_compared():
    good = referenced(("five", "5.0"), ToolCall("sqrt", {"x": 16}), ToolCall("add", {"a": 4, "b": 1}))
    wrong = referenced(("7",), ToolCall("add", {"a": 4, "b": 1}))
    unknown = referenced(("7",), ToolCall("addition", {"a": 4, "b": 3}))
    none = Task("row-2", "q", ("7",), "")
    names = referenced(("7",), NamedCall("add"))
    outcomes = solve([good, wrong, unknown, referenced(("7",)), none, names], build_teacher("annotated"))
    assert outcomes[0].final_text == "The answer is \\boxed{5.0}." and outcomes[0].task.toolset == "calculator"
    assert [outcome.reason for outcome in outcomes[1:]] == [
        "wrong_result",
        "execution_error",
        "no_calls",
        "no_annotation",
        "names_only",
    ]


def test_reference_calls_of_a_users_tools_share_state_within_a_task_only(tmp_path):
    (tmp_path / "tools.py").write_text(BOX_TOOLS)
    toolset = Toolset.from_python(tmp_path / "tools.py")
    tasks = [
        Task(
            "a",
            "q",
            ("x,y",),
            "",
            reference=(ToolCall("put", {"name": "x", "value": 1}), ToolCall("put", {"name": "y", "value": 2})),
        ),
        Task("b", "q", ("z",), "", reference=(ToolCall("put", {"name": "z", "value": 3}),)),
    ]
    outcomes = solve(tasks, build_teacher("annotated"), toolset)
    assert [outcome.final_text for outcome in outcomes] == ["The answer is \\boxed{x,y}.", "The answer is \\boxed{z}."]


def test_real_gsm8k_rows(shared):
    tasks = load_tasks("gsm8k", path=str(shared / "data/gsm8k/train.jsonl.gz"))
    assert len(tasks) == 7473 and not any("," in task.answer[0] for task in tasks)
    part = tasks[:300]
    verified = [outcome for outcome in solve(part, build_teacher("annotated")) if isinstance(outcome, Trajectory)]
    assert len(verified) >= 270
    for trajectory in verified:
        assert abs(float(trajectory.messages[-2]["content"]) - float(trajectory.task.answer[0])) <= 1e-6
        boxed = re.fullmatch(r"The answer is \\boxed\{(.*)\}\.", trajectory.final_text)
        assert boxed.group(1) == trajectory.task.answer[0]


def test_right_calls_are_written_down_and_not_run():
    schema = {"name": "stock", "parameters": {"type": "object", "properties": {"item": {"type": "string"}}}}
    tools = TaskTools(None, [check_schema(schema, "test")])
    calls = tuple(ToolCall("stock", {"item": item}) for item in ("rope", "cord"))
    right = Task("a", "Both?", (), "", reference=calls, tools=tools, gold=gold_calls(calls, tools.schemas, "a"))
    none = Task("b", "Norway?", (), "", reference=(), tools=tools, gold=gold_calls([], tools.schemas, "b"))
    any_call = replace(none, gold=GoldCalls("relevance"))
    teacher, toolset = build_teacher("annotated"), Toolset.listed(tools.schemas)
    made, said, unknown = solve([right, none, any_call], teacher, toolset)
    (turn,) = made.messages[1:]
    assert [call["function"]["arguments"] for call in turn["tool_calls"]] == [{"item": "rope"}, {"item": "cord"}]
    assert made.stop_reason is StopReason.CALLED and [call.error for call in made.calls] == [CallError.NOT_RUN] * 2
    assert said.messages[1]["content"] == NO_CALL and said.stop_reason is StopReason.ANSWERED
    assert isinstance(unknown, Rejection) and unknown.reason == "no_calls"
    assert calls_verdict(made).valid and calls_verdict(said).valid
