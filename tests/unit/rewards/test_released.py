import json
import random
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from mentor.errors import InputError
from mentor.rewards import build_reward, load_preset
from mentor.rewards.grader_pool import GraderPool
from mentor.rewards.released import (
    RELEASED,
    ReleasedJudge,
    called_tools,
    extract_released_box,
    released_reward,
    render_released,
)
from mentor.rewards.symbolic import judge_released
from mentor.types import CallRecord, StopReason, Task, ToolCall, Trajectory
from tests.unit.rewards.builders import raw_row, tool_call


@pytest.fixture(scope="module")
def judge() -> Iterator[ReleasedJudge]:
    judge = ReleasedJudge(timeout_s=30.0)
    yield judge
    judge.close()


def totals(row: dict, judge: ReleasedJudge) -> dict[str, float | None]:
    raw = (row["response"], row["eos"], row["ground_truth"], row["teacher_tools"])
    return {variant: released_reward(variant, *raw, judge).total for variant in RELEASED}


@pytest.mark.parametrize("where", ["main thread", "worker thread"])
def test_golden(shared: Path, where: str) -> None:
    rows = [json.loads(line) for line in (shared / "golden" / "rewards.jsonl").read_text("utf-8").splitlines()]
    found: dict[str, dict[str, float | None]] = {}

    def score() -> None:
        judge = ReleasedJudge(timeout_s=30.0)
        found.update({row["id"]: totals(row, judge) for row in rows})
        judge.close()

    if where == "main thread":
        score()
    else:
        thread = threading.Thread(target=score)
        thread.start()
        thread.join()
    assert len(rows) == 288
    for row in rows:
        assert found[row["id"]] == pytest.approx(row["rewards"], abs=1e-9), row["id"]


def test_the_formulas_by_hand(judge: ReleasedJudge) -> None:
    turns = [(f"{tool_call('add')}\n{tool_call('sqrt')}", ["1", "2"])]
    right, wrong = raw_row(turns, r"\boxed{72}"), raw_row(turns, r"\boxed{71}")  # the teacher: divide, add
    shared = {"partial_overlap": 1.0, "validity_only": 0.8, "f1": 0.8 + 0.3 / 2}
    assert totals(right, judge) == pytest.approx({"sparse": 1.0, "mentor": 0.8, **shared})
    shared = {"partial_overlap": 0.06, "validity_only": 0.1, "f1": 0.1 + 0.06 / 2}
    assert totals(wrong, judge) == pytest.approx({"sparse": 0.1, "mentor": 0.1, **shared})
    unknown = raw_row([*turns, (tool_call("solve"), ["?"])], r"\boxed{71}", teacher_tools=["power"])
    assert totals(unknown, judge) == pytest.approx({**dict.fromkeys(RELEASED, 0.0), "sparse": 0.1})
    no_teacher = raw_row(turns, r"\boxed{72}", teacher_tools=[])
    assert totals(no_teacher, judge) == pytest.approx(
        {"sparse": 1.0, "mentor": 0.1, "partial_overlap": 0.1, "validity_only": 0.8, "f1": 0.1}
    )


@pytest.mark.parametrize(
    ("text", "box"),
    [
        (r"\boxed{1} \boxed{2}", "2"),
        (r"\boxed {3} \boxed{4}<e>", "{3} \\boxed{4}<e>"),
        (r"\boxed 5$ and", "5"),
        (r"\boxed $5$", ""),
        (r"\fbox{6}", None),
        (r"\boxedmath{6}", None),
        (r"\boxed{\left\{6\right.}", None),
        (r"\boxed{6", None),
    ],
)
def test_extract_released_box(text: str, box: str | None) -> None:
    assert extract_released_box(text) == box


def test_called_tools_keeps_the_quirks() -> None:
    assert called_tools(tool_call("add") * 2) == ({"add"}, False)
    assert called_tools("<tool_call>{'name': 'solve'}</tool_call><tool_call>[1]</tool_call>") == (set(), False)
    assert called_tools(r'<tool_call>{"name":\"add\"}</tool_call>') == (set(), True)
    assert called_tools('<tool_call>{"name": 7}</tool_call>') == (set(), True)
    assert called_tools('<tool_call>{"name": false}</tool_call>') == (set(), False)
    assert called_tools('<tool_call>{"name": ["add"]}</tool_call>') == (set(), True)  # the released function raises
    assert called_tools(f"<tool_call>{tool_call('add')}") == (set(), False)


@pytest.mark.parametrize(
    ("text", "called", "unknown"),
    [
        ('<tool_call>{"name":"add"}', set(), False),  # never closed
        ('</tool_call>{"name":"add"}<tool_call>', set(), False),
        ('</tool_call><tool_call>{"name":"add"}</tool_call></tool_call>', {"add"}, False),
        # a block runs from the first open tag to the first close, and the next search begins behind it
        ('<tool_call><tool_call>{"name":\\"add"}</tool_call>{"name":"sqrt"}</tool_call>', {"add"}, False),
        ('<tool_call><tool_call>{"name":"add"}</tool_call>', set(), False),  # no JSON, nor the backslash
        ('<tool_call></tool_call><tool_call>{"name":"solve"}</tool_call><tool_call>', set(), True),
        ('<tool_call>\n{"name":\n"add"}\n</tool_call>', {"add"}, False),
        ('<tool_call>{"name":"a</tool_call>dd"}</tool_call>', set(), False),
        ('<tool_<tool_call>{"name":"add"}</tool_</tool_call>', set(), False),
    ],
)
def test_called_tools_of_nested_and_unclosed_tags(text: str, called: set[str], unknown: bool) -> None:
    assert called_tools(text) == (called, unknown)


@pytest.mark.parametrize(
    "piece",
    [
        "<tool_call>",
        "</tool_call>",
        "<tool_call>{",
        "<tool_call></tool_call>",
        '<tool_call>{"name":\\"',
        "<tool_response>",
        "<think>",
        "\\boxed{",
        "{",
        "}",
    ],
)
@pytest.mark.parametrize("form", ["{}", "<tool_call>{}</tool_call>", "{}</tool_call>", "\\boxed{{{}}}"])
def test_a_hostile_text_costs_time_in_proportion_to_its_length(piece: str, form: str) -> None:
    def seconds(times: int) -> float:
        text = form.format(piece * times)
        found = []
        for _ in range(5):
            started = time.perf_counter()
            called_tools(text)
            extract_released_box(text)
            found.append(time.perf_counter() - started)
        return min(found)

    # 16 times the text: 16 times the work where it is linear, 256 times where each tag reads on to the end
    assert seconds(16_000) < 64 * max(seconds(1_000), 1e-4)


def test_integers_are_judged_as_math_verify_judges_them() -> None:
    draw = random.Random(0)
    for _ in range(20):
        gold = draw.randrange(10 ** draw.randrange(1, 16))
        prediction = draw.choice([gold, gold + 1, draw.randrange(1000)])
        assert judge_released(str(prediction), [str(gold)], 1.0) == (prediction == gold)


def test_a_late_judgement_is_wrong_and_unusable_ground_truths_are_named(judge: ReleasedJudge) -> None:
    impatient = ReleasedJudge(timeout_s=1.0)
    assert impatient.judge("9^{9^{9^9}}", [r"\sqrt{2}"]) is False
    impatient.close()
    for truth in (5, [1], r"\boxed{7"):
        with pytest.raises(InputError, match="ground_truth"):
            released_reward("sparse", r"\boxed{5}<e>", "<e>", truth, None, judge)  # type: ignore[arg-type]
    # it is unwrapped only where an answer is compared with it
    assert released_reward("sparse", r"\boxed{5}", "<e>", r"\boxed{7", None, judge).total == 0.0


def test_a_teacher_trajectory_is_rendered_in_the_released_form() -> None:
    def said(name: str, **arguments: int) -> dict:
        call = {"id": "call_0", "type": "function", "function": {"name": name, "arguments": arguments}}
        return {"role": "assistant", "content": "", "tool_calls": [call]}

    messages = [
        {"role": "user", "content": "?"},
        said("divide", a=48, b=2),
        {"role": "tool", "tool_call_id": "call_0", "name": "divide", "content": "24"},
        said("add", a=24, b=48),
        {"role": "tool", "tool_call_id": "call_0", "name": "add", "content": "72"},
        {"role": "assistant", "content": r"The answer is \boxed{72}."},
    ]
    reference = (ToolCall("divide", {"a": 48, "b": 2}), ToolCall("add", {"a": 24, "b": 48}))
    calls = [CallRecord(turn, call.name, call.arguments, True) for turn, call in enumerate(reference)]
    task = Task("t0", "?", ("72",), "calculator", reference=reference)
    trajectory = Trajectory(task, messages, "[]", StopReason.ANSWERED, calls)
    text = render_released(trajectory)
    assert text.count("<|im_start|>assistant\n") == 2 and text.endswith(r"The answer is \boxed{72}.<|im_end|>")
    assert "<|im_start|>user\n<tool_response>24</tool_response>\n<|im_end|>\n<|im_start|>assistant\n" in text
    with GraderPool(1) as pool:
        found = {
            name: build_reward(pool, **load_preset(f"released_{name}")).score([trajectory])[0]
            for name in ("mentor", "f1")
        }
    assert {name: breakdown.total for name, breakdown in found.items()} == pytest.approx({"mentor": 1.1, "f1": 1.1})
    assert found["mentor"].terms == {"correct": 1.0, "match": 1.0, "valid": 1.0}
