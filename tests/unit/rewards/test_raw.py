import json
import time

import pytest

from mentor.chat.parse import parse_turn
from mentor.errors import InputError
from mentor.rewards import build_reward, load_preset
from mentor.rewards.answer_formats import final_answer
from mentor.rewards.raw import raw_trajectory, read_calls
from mentor.types import CallError, StopReason, Trajectory
from tests.unit.rewards.builders import raw_row, tool_call

ECHO = '{"name": "divide", "arguments": {"a": 48, "b": 2}}\n'


def outcomes(trajectory: Trajectory) -> list[tuple[str | None, CallError | None]]:
    return [(call.name, call.error) for call in trajectory.calls]


def test_turns_calls_and_answer() -> None:
    first = f"<think>{tool_call('sqrt')} \\boxed{{1}}</think>So {tool_call('divide')}\n{tool_call('add')}"
    row = raw_row([(first, [ECHO + "result: \n24\n", "72"])], r"<think>ok</think>The answer is \boxed{72}.")
    trajectory = raw_trajectory(row, "rows:1")
    assert outcomes(trajectory) == [("divide", None), ("add", None)]
    assert [message["role"] for message in trajectory.messages] == ["user", "assistant", "tool", "tool", "assistant"]
    assert trajectory.messages[1]["content"] == "So"
    assert trajectory.final_text == r"The answer is \boxed{72}."
    assert trajectory.stop_reason is StopReason.ANSWERED
    assert trajectory.task.reference is not None and [call.name for call in trajectory.task.reference] == [
        "divide",
        "add",
    ]
    assert trajectory.response == row["response"] and trajectory.task.answer == ("72",)


@pytest.mark.parametrize(
    ("written", "expected"),
    [
        ("<tool_call>{'name': 'add'}</tool_call>", (None, CallError.MALFORMED)),
        ("<tool_call>[1]</tool_call>", (None, CallError.MALFORMED)),
        ('<tool_call>{"name": ["add"], "arguments": {}}</tool_call>', (None, CallError.MALFORMED)),
        ('<tool_call>{"name": "add"}</tool_call>', ("add", CallError.INVALID_ARGUMENTS)),
        ('<tool_call>{"name": "add", "arguments": {"a": NaN}}</tool_call>', (None, CallError.MALFORMED)),
        ('<tool_call>{"name": "add", "arguments": "{}"}</tool_call>', ("add", CallError.MALFORMED)),
        ('<tool_call>{"name": "add", "arguments": {}}', (None, CallError.MALFORMED)),
        ('{"name": "add", "arguments": {}}</tool_call>', (None, CallError.MALFORMED)),
        ('<tool_call id="1">{"name": "add", "arguments": {}}</tool_call>', (None, CallError.MALFORMED)),
        (tool_call("solve"), ("solve", CallError.UNKNOWN_TOOL)),
        (tool_call("ADD"), ("ADD", CallError.UNKNOWN_TOOL)),
    ],
)
def test_calls_that_are_not_well_formed(written: str, expected: tuple[str | None, CallError]) -> None:
    assert outcomes(raw_trajectory(raw_row([(written, ["x"])], "done"), "rows:1")) == [expected]


@pytest.mark.parametrize(
    "inside", ["</tool_call>", "<tool_call>", "<think>", "</think>", "<tool_response>1</tool_response>"]
)
def test_a_tag_in_an_argument_is_part_of_the_call(inside: str) -> None:
    written = json.dumps({"name": "add", "arguments": {"a": inside}})
    content, (attempt,) = read_calls(f"So <tool_call>{written}</tool_call> \\boxed{{5}}", {"add": {}})
    assert (attempt.name, attempt.arguments, attempt.error) == ("add", {"a": inside}, None)
    assert content.startswith("So") and content.endswith("\\boxed{5}")


@pytest.mark.parametrize("text", ["<think>a</think>b CALL <think>c</think>d", "CALL<think>x</think>", "<think>CALL"])
def test_thinking_is_what_a_rollout_takes_for_it(text: str) -> None:
    text = text.replace("CALL", tool_call("add"))
    turn, (content, attempts) = parse_turn(text), read_calls(text, {"add": {}})
    assert (turn.content, len(turn.calls)) == (content, len(attempts)) and turn.hidden_calls == 1


@pytest.mark.parametrize("piece", ["<tool_response>", "<tool_call ", "<tool_calls>", "<tool_call>", "<think>", "word "])
def test_long_texts_take_time_in_proportion(piece: str) -> None:
    row = raw_row([], piece * (400_000 // len(piece)))
    started = time.perf_counter()
    final_answer(raw_trajectory(row, "rows:1"))
    assert time.perf_counter() - started < 10  # a minute and more where every tag looks for its end


def test_replies_go_to_their_calls() -> None:
    sum_echo = '{"name": "add", "arguments": {"a": 48, "b": 2}}\n'
    said = f"{tool_call('divide')}\n{tool_call('add')}"
    swapped = raw_row([(said, [sum_echo + "result: \n1", ECHO + "error: \ndivision by zero"])], "done")
    assert outcomes(raw_trajectory(swapped, "")) == [("divide", CallError.EXCEPTION), ("add", None)]
    one_only = raw_row([(said, ["24"])], "done")
    assert outcomes(raw_trajectory(one_only, "")) == [("divide", None), ("add", CallError.CRASH)]
    with_broken = raw_row([(f"<tool_call>?</tool_call>{tool_call('add')}", ["72"])], "done")
    assert outcomes(raw_trajectory(with_broken, "")) == [(None, CallError.MALFORMED), ("add", None)]


def test_an_opening_tag_inside_a_call_begins_the_next_one() -> None:
    nested = raw_row([(f"<tool_call>{tool_call('add')}", ["not closed", "72"])], "done")
    assert outcomes(raw_trajectory(nested, "")) == [(None, CallError.MALFORMED), ("add", None)]


def test_replies_in_turns_of_the_role_tool() -> None:
    said = f"{tool_call('divide')}\n{tool_call('floor')}\n{tool_call('add')}"
    turns = "".join(f"<|im_start|>tool\n{reply}<|im_end|>\n" for reply in ("24", "", "Error: no"))
    row = raw_row([], "", response=f"{said}<|im_end|>\n{turns}<|im_start|>assistant\ndone<|im_end|>")
    expected = [("divide", None), ("floor", None), ("add", CallError.EXCEPTION)]
    assert outcomes(raw_trajectory(row, "")) == expected


def test_stop_reasons() -> None:
    last = raw_row([], f"\\boxed{{72}} {tool_call('add')}")
    assert raw_trajectory(last, "").stop_reason is StopReason.MAX_TURNS
    cut = raw_row([(tool_call("add"), ["1"])], r"\boxed{72}")
    cut["response"] = cut["response"].removesuffix("<|im_end|>")
    assert raw_trajectory(cut, "").stop_reason is StopReason.LENGTH
    in_reply = raw_row(
        [], "", response=f"{tool_call('add')}<|im_end|>\n<|im_start|>user\n<tool_response>1</tool_response><|im_end|>"
    )
    assert raw_trajectory(in_reply, "").final_text is None


def test_a_rows_own_tools_are_checked_against_their_schemas() -> None:
    number = {"type": "object", "properties": {"x": {"type": "number"}}, "required": ["x"]}
    tools = [{"type": "function", "function": {"name": "halve", "parameters": number}}]
    calls = [tool_call("halve", '{"x": 4}'), tool_call("halve", '{"x": "4"}'), tool_call("add")]
    row = raw_row([("\n".join(calls), ["2", "?", "?"])], "done", tools=tools)
    expected = [("halve", None), ("halve", CallError.INVALID_ARGUMENTS), ("add", CallError.UNKNOWN_TOOL)]
    assert outcomes(raw_trajectory(row, "")) == expected


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"response": 5}, r"rows:3: response=5, accepted: a text"),
        ({"eos": None}, r"rows:3: eos=None"),
        ({"ground_truth": 72}, r"rows:3: ground_truth=72, accepted: a text or a list of texts"),
        ({"ground_truth": ["1", None]}, r"ground_truth"),
        ({"teacher_tools": "add"}, r"teacher_tools='add', accepted: a list of names, or null"),
        ({"id": True}, r"id=True"),
        ({"tools": [{"name": "add", "parameters": {"type": "nonsense"}}]}, r"rows:3: schema of tool 'add'"),
        ({"tools": {}}, r"rows:3: tools=\{\}, accepted: a list of tool schemas"),
        ({"tools": [{"name": 3}]}, r"rows:3: tool schema .* is not one"),
        ({"tools": [{"name": "a", "parameters": {"type": "object", "$ref": "http://x/y"}}]}, r"names nothing"),
    ],
)
def test_rows_that_are_not_accepted(changes: dict, message: str) -> None:
    with pytest.raises(InputError, match=message):
        raw_trajectory(raw_row([], "x", **changes), "rows:3")


@pytest.mark.parametrize("key", ["id", "response", "eos", "ground_truth", "teacher_tools"])
def test_a_missing_key_is_named(key: str) -> None:
    row = raw_row([], "x")
    del row[key]
    with pytest.raises(InputError, match=f"rows:3: no '{key}'"):
        raw_trajectory(row, "rows:3")


SCHEMA = {"name": "stock", "parameters": {"type": "object", "properties": {"item": {"type": "string"}}}}
BY_CALLS = {
    "id": "a",
    "eos": "<e>",
    "tools": [SCHEMA],
    "gold_calls": [{"name": "stock", "arguments": {"item": "rope"}}],
}


def test_a_row_with_right_calls_is_judged_by_its_calls() -> None:
    rope, cord = (tool_call("stock", json.dumps({"item": item})) for item in ("rope", "cord"))
    with build_reward(**load_preset("sparse")) as sparse:
        totals = [
            sparse.score([raw_trajectory({**BY_CALLS, "response": text + "<e>"}, "rows:1")])[0].total
            for text in (rope, cord, rope + rope, "It is there.")
        ]
        none = raw_trajectory({**BY_CALLS, "gold_calls": [], "response": "It is there.<e>"}, "rows:1")
        assert totals == [1.0, 0.0, 0.0, 0.0] and sparse.score([none])[0].total == 1.0
    trajectory = raw_trajectory({**BY_CALLS, "response": rope + "<e>"}, "rows:1")
    assert outcomes(trajectory) == [("stock", CallError.NOT_RUN)] and trajectory.stop_reason is StopReason.CALLED


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"gold_calls": ["stock"]}, r"^rows:1: gold_calls=\['stock'\], accepted: a list of {name, arguments}"),
        ({"gold_calls": [{"name": "cord", "arguments": {}}]}, "^rows:1: a right call is of 'cord'"),
        ({"tools": None}, "a right call is of 'stock', and the tools are"),
    ],
)
def test_right_calls_that_cannot_be_read_are_refused(change: dict, message: str) -> None:
    with pytest.raises(InputError, match=message):
        raw_trajectory({**BY_CALLS, "response": "", **change}, "rows:1")
