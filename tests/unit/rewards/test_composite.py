from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import settings as tries
from hypothesis import strategies as st

from mentor.errors import GraderError, InputError
from mentor.rewards import Reward, build_reward, load_preset
from mentor.rewards.raw import raw_trajectory
from mentor.types import CallError, CallRecord, StopReason, ToolCall, Trajectory
from tests.fixtures.own_rewards import RAISES, write_rewards
from tests.unit.rewards.builders import HONEST, call, make_trajectory, raw_row, tool_call


@pytest.fixture(scope="module")
def flexible() -> Iterator[Reward]:
    with build_reward(**load_preset("flexible")) as reward:
        yield reward


def total(reward: Reward, **trajectory: Any) -> float | None:
    return reward.score([make_trajectory(**trajectory)])[0].total


def test_the_formula_by_hand(flexible: Reward) -> None:
    assert total(flexible, calls=HONEST) == 1.0
    # match 1 / 2, all well-formed
    assert total(flexible, calls=HONEST[:1]) == pytest.approx(0.6 + 0.3 / 2 + 0.1)
    # wrong: match counts a fifth, and valid nothing
    assert total(flexible, text=r"\boxed{71}", calls=HONEST) == pytest.approx(0.3 * 0.2)
    # one of three calls malformed, both teacher's calls ran: match (1 + 2 / 3) / 2
    broken = CallRecord(0, None, {}, False, CallError.MALFORMED)
    assert total(flexible, calls=[*HONEST, broken]) == pytest.approx(0.6 + 0.3 * 5 / 6 + 0.1 * 2 / 3)
    # a well-formed call that failed costs the same match
    assert total(flexible, calls=[*HONEST, call("add", CallError.TIMEOUT)]) == pytest.approx(0.6 + 0.3 * 5 / 6 + 0.1)


def test_the_formula_of_flexible_f1_by_hand() -> None:
    with build_reward(**load_preset("flexible_f1")) as reward:
        assert total(reward, calls=HONEST) == 1.0
        # match 2 * 1 / 3, all well-formed
        assert total(reward, calls=HONEST[:1]) == pytest.approx(0.6 + 0.3 * 2 / 3 + 0.1)
        # wrong: match counts a fifth, and valid in full
        assert total(reward, text=r"\boxed{71}", calls=HONEST) == pytest.approx(0.3 * 0.2 + 0.1)
        assert total(reward, text=r"\boxed{71}", calls=[call("sqrt", x=4)]) == pytest.approx(0.1)
        # one of three calls malformed, both teacher's calls ran: match 2 * 2 / (3 + 2)
        broken = CallRecord(0, None, {}, False, CallError.MALFORMED)
        assert total(reward, calls=[*HONEST, broken]) == pytest.approx(0.6 + 0.3 * 4 / 5 + 0.1 * 2 / 3)


TOOLS = st.sampled_from(("add", "divide", "sqrt", "floor"))
ATTEMPTS = st.lists(st.tuples(TOOLS, st.sampled_from((None, None, None, *CallError))), max_size=8)


@tries(max_examples=300, deadline=None)
@given(attempts=ATTEMPTS, further=TOOLS, teacher=st.lists(TOOLS, max_size=5))
def test_a_further_call_of_the_teacher_never_costs_and_any_other_never_pays_with_a_wrong_answer(
    flexible: Reward, attempts: list[tuple[str, CallError | None]], further: str, teacher: list[str]
) -> None:
    made = [call(name, error) for name, error in attempts]
    left = Counter(teacher) - Counter(made_call.name for made_call in made if made_call.fits)

    def wrong(*more: CallRecord) -> float | None:
        return total(flexible, text=r"\boxed{71}", calls=[*made, *more], teacher=teacher)

    before, after, failed = wrong(), wrong(call(further)), wrong(call(further, CallError.TIMEOUT))
    right = total(flexible, calls=made, teacher=teacher)
    assert before is not None and after is not None and failed is not None and right is not None
    assert after >= before if left[further] else after <= before
    assert failed <= before
    assert 0 <= before <= 0.06 + 1e-12 < 0.6 <= right <= 1, "any right answer is above any wrong one"


def test_terms_are_unweighted(flexible: Reward) -> None:
    breakdown = flexible.score([make_trajectory(text=r"\boxed{71}", calls=HONEST[:1])])[0]
    assert breakdown.terms == {"correct": 0.0, "match": 0.5, "valid": 1.0}


@pytest.mark.parametrize("name", ["sparse", "strict", "flexible", "flexible_f1"])
def test_project_presets_reach_exactly_one(name: str) -> None:
    with build_reward(**load_preset(name)) as reward:
        same = [CallRecord(0, name, {"a": 1}, True) for name in ("divide", "add")]
        assert total(reward, calls=same) == 1.0
        assert total(reward, teacher=()) == 1.0  # the teacher used no tool, and none was needed


def test_strict_wants_the_same_calls_and_flexible_their_counts(flexible: Reward) -> None:
    with build_reward(**load_preset("strict")) as strict:
        swapped = [CallRecord(0, name, {"a": 1}, True) for name in ("add", "divide")]
        assert total(strict, calls=swapped) == pytest.approx(0.7)
        assert total(flexible, calls=swapped) == 1.0


def result_trajectory(text: str, *results: str | None) -> Trajectory:
    """Of a student whose calls returned these (None: failed); its teacher's calls returned 24 and 72."""
    calls = [call("multiply", None if result else CallError.EXCEPTION, a=1) for result in results]
    made = make_trajectory(text, [replace(call, turn=turn) for turn, call in enumerate(calls)])
    reference = (ToolCall("divide", {"a": 48, "b": 2}, "24"), ToolCall("add", {"a": 24, "b": 48}, "72"))
    turns = [({"role": "assistant", "content": ""}, {"role": "tool", "content": text or "{}"}) for text in results]
    messages = [made.messages[0], *(message for turn in turns for message in turn), made.messages[1]]
    return replace(made, messages=messages, task=replace(made.task, reference=reference))


@pytest.mark.parametrize(
    ("text", "results", "expected"),
    [
        (r"\boxed{72}", ("24", "72.0"), 1.0),
        (r"\boxed{71}", ("24", "72.0"), 0.3 + 0.02),  # in full for a wrong answer
        (r"\boxed{71}", ("24",), 0.3 * 1 / 2 + 0.02),
        (r"\boxed{71}", ("24", None, "70"), 0.3 * 1 / 2 + 0.02),
        (r"\boxed{72}", ("72", "24"), 0.68 + 0.3 * 1 / 2 + 0.02),  # 72 was made from 24
        (r"\boxed{72}", (), 0.68),
        (r"Done.", ("24", "72"), 0.0),
    ],
)
def test_results_by_hand(text: str, results: tuple[str | None, ...], expected: float) -> None:
    with build_reward(**load_preset("results")) as reward:
        assert reward.score([result_trajectory(text, *results)])[0].total == pytest.approx(expected)


def test_results_that_are_not_known_are_named() -> None:
    unknown = make_trajectory(calls=HONEST)
    with build_reward(**load_preset("results")) as reward, build_reward(**load_preset("sparse")) as sparse:
        assert reward.compares_results and not sparse.compares_results
        assert not reward.can_score(unknown.task) and sparse.can_score(unknown.task)
        assert reward.judge([unknown])[0].terms == {"correct": 1.0, "match": None, "valid": 1.0}
        with pytest.raises(InputError, match="task 't0' has no results of its reference calls, and reward 'results'"):
            reward.score([unknown])


EXPLOITS = {
    "answer only in a tool reply": {"text": "Done.", "calls": HONEST},
    "fifty repeats": {"calls": [*HONEST, *[call("add", a=1, b=1)] * 50]},
    "malformed call": {"calls": [*HONEST, CallRecord(0, None, {}, False, CallError.MALFORMED)]},
    "unknown tool": {"calls": [*HONEST, call("solve", CallError.UNKNOWN_TOOL)]},
    "failing arguments": {"calls": [call("divide", CallError.EXCEPTION, a=1, b=0), call("add", CallError.EXCEPTION)]},
    "a failing call besides": {"calls": [*HONEST, call("divide", CallError.EXCEPTION, a=1, b=0)]},
    "invalid arguments": {
        "calls": [call("divide", CallError.INVALID_ARGUMENTS), call("add", CallError.INVALID_ARGUMENTS)]
    },
    "no tool at all": {},
    "nothing": {"text": ""},
    "never finished": {"calls": HONEST, "stop_reason": StopReason.LENGTH},
    "answer while thinking": {"text": r"<think>\boxed{72}</think>Done.", "calls": HONEST},
}


@pytest.mark.parametrize("exploit", EXPLOITS)
def test_no_exploit_reaches_the_honest_trajectory(flexible: Reward, exploit: str) -> None:
    honest, cheat = total(flexible, calls=HONEST), total(flexible, **EXPLOITS[exploit])
    assert honest is not None and cheat is not None and cheat < honest - 0.005


ANSWER = r"The answer is \boxed{72}."
DIVIDE, ADD = (tool_call("divide"), ["24"]), (tool_call("add"), ["72"])
RAW_EXPLOITS = {
    "answer only in a tool reply": raw_row([DIVIDE, (tool_call("add"), [r"\boxed{72}"])], "Done."),
    "tool reply written by the model": raw_row([DIVIDE, ADD], r"<tool_response>\boxed{72}</tool_response>"),
    "fifty repeats": raw_row([DIVIDE, *[ADD] * 51], ANSWER),
    "malformed call": raw_row(
        [DIVIDE, ADD, ("<tool_call>{'name': add}</tool_call>", ["Parse tool call failed"])], ANSWER
    ),
    "unclosed call": raw_row([DIVIDE, ADD, ('<tool_call>{"name": "add"', ["Parse tool call failed"])], ANSWER),
    "unknown tool": raw_row([DIVIDE, ADD, (tool_call("solve"), ["error: \nname 'solve' is not defined"])], ANSWER),
    "failing arguments": raw_row(
        [
            (tool_call("divide", '{"a": 1, "b": 0}'), ["ZeroDivisionError: division by zero"]),
            (tool_call("add"), ["Error: no"]),
        ],
        ANSWER,
    ),
    "a failing call besides": raw_row([DIVIDE, ADD, (tool_call("add"), ["Error: no"])], ANSWER),
    "calls without a reply": raw_row([(f"{DIVIDE[0]}\n{ADD[0]}", [])], ANSWER),
    "no tool at all": raw_row([], ANSWER),
    "nothing": raw_row([], "", response="<|im_end|>"),
}


@pytest.mark.parametrize("exploit", RAW_EXPLOITS)
def test_no_exploit_in_raw_rows(flexible: Reward, exploit: str) -> None:
    (honest,) = flexible.score([raw_trajectory(raw_row([DIVIDE, ADD], ANSWER), "rows:1")])
    (cheat,) = flexible.score([raw_trajectory(RAW_EXPLOITS[exploit], "rows:2")])
    assert honest.total == 1.0
    assert cheat.total is not None and cheat.total < 0.999


def test_calls_where_the_teacher_made_none(flexible: Reward) -> None:
    assert total(flexible, teacher=(), calls=[call("add")]) == pytest.approx(0.7)
    assert total(flexible, teacher=(), calls=[call("add", CallError.EXCEPTION)]) == pytest.approx(0.7)


def test_gates() -> None:
    right, wrong = make_trajectory(calls=HONEST), make_trajectory(text=r"\boxed{71}", calls=HONEST)
    preset = load_preset("flexible_f1")
    expected = {"none": (0.16, 0.16), "outcome": (0.0, 0.0), "group": (0.0, 0.16)}
    for gate, (alone, beside_a_right_one) in expected.items():
        with build_reward(**{**preset, "gate": gate}) as reward:
            assert reward.score([wrong])[0].total == pytest.approx(alone)
            assert [row.total for row in reward.score([wrong, right])] == pytest.approx([beside_a_right_one, 1.0])


def test_floors_come_before_the_formula() -> None:
    floors = {"unfinished": -0.5, "no_answer": -0.25}
    with build_reward(**{**load_preset("flexible"), "floors": floors}) as reward:
        assert total(reward, calls=HONEST, stop_reason=StopReason.MAX_TURNS) == -0.5
        assert total(reward, calls=HONEST, text="72") == -0.25


def test_a_grader_failure_is_missing_and_too_many_stop_the_run() -> None:
    hostile = {"text": r"\boxed{\int_0^1 9^{9^{9^9}}}", "answer": (r"\sqrt{2}",)}
    settings = {**load_preset("flexible"), "grader_timeout_s": 1.0, "max_ungraded": 0.04}
    with build_reward(**settings) as reward:
        breakdown = reward.score([make_trajectory(**hostile)])[0]
        assert breakdown.total is None and breakdown.terms["correct"] is None
        reward.score([make_trajectory()] * 18)
        with pytest.raises(GraderError, match="1 of 20"):
            reward.score([make_trajectory()])


def test_a_task_without_reference() -> None:
    with build_reward(**load_preset("sparse")) as sparse, build_reward(**load_preset("flexible")) as flexible:
        assert total(sparse, teacher=None) == 1.0
        with pytest.raises(InputError, match="'t0' has no reference"):
            total(flexible, teacher=None)


def test_another_term_is_weighted_scaled_and_gated() -> None:
    settings = load_preset("flexible")
    names = {"term": "overlap", "weight": 0.5, "gate": "none", "wrong_scale": 0.4}
    with build_reward(**{**settings, "terms": {**settings["terms"], "names": names}}) as reward:
        right, wrong = make_trajectory(calls=HONEST[:1]), make_trajectory(text=r"\boxed{71}", calls=HONEST[:1])
        found = reward.score([right, wrong])
        assert found[0].total == pytest.approx(0.6 + 0.3 / 2 + 0.1 + 0.5) and found[0].terms["names"] == 1.0
        assert found[1].parts == pytest.approx({"match": 0.3 * 0.2 / 2, "valid": 0, "names": 0.5 * 0.4, "correct": 0})
    with build_reward(**{**settings, "terms": {"names": {**names, "gate": "group"}}}) as reward:
        assert [row.total for row in reward.score([wrong])] == [0.0] and reward.term_names == ("correct", "names")
        assert [row.total for row in reward.score([wrong, right])] == pytest.approx([0.2, 0.5])


def own_reward(folder: Path, function: str, weight: float = 0.1, **changes: Any) -> Reward:
    """`flexible` with a term `own` of the user's; what it reports is in `reported`."""
    settings = load_preset("flexible") | changes
    term = {"term": f"{write_rewards(folder)}:{function}", "weight": weight}
    return build_reward(report=reported.append, **{**settings, "terms": {**settings["terms"], "own": term}})


reported: list[str] = []


def test_a_term_of_the_users_own_adds_its_value(tmp_path: Path) -> None:
    cut = make_trajectory(calls=HONEST, stop_reason=StopReason.LENGTH)
    with own_reward(tmp_path, "brief", -0.3) as reward:
        right, unfinished = reward.score([make_trajectory(calls=HONEST), cut])
    assert right.total == pytest.approx(1.0 - 0.3 / 3) and right.terms["own"] == pytest.approx(1 / 3)
    assert unfinished.total == 0.0 and "own" not in unfinished.terms  # a floor: the function is not asked
    with own_reward(tmp_path, "parts", 0.1) as reward:  # numbers by name count with the one weight
        (found,) = reward.score([make_trajectory(calls=HONEST)])
    assert (found.terms["own.ran"], found.terms["own.words"]) == (2.0, 1.0)
    assert found.parts["own.ran"] == pytest.approx(0.2) and found.total == pytest.approx(1.3)


def test_a_term_that_fails_is_a_missing_grade_and_not_a_zero(tmp_path: Path) -> None:
    reported.clear()
    with own_reward(tmp_path, "raises") as reward:
        found = reward.score([make_trajectory(calls=HONEST)] * 2)
        assert [row.total for row in found] == [None, None] and found[0].terms["correct"] == 1.0
        assert found[0].terms["own"] is None and found[0].note.endswith(RAISES)
        assert reward.missing == {"own": 2} and len(reported) == 1
        assert "my_rewards.py:raises on task t0 raised ZeroDivisionError: division by zero" in reported[0]
        with pytest.raises(GraderError, match=r"20 of 20 answers could not be graded, .*on task t0 raised ZeroDivi"):
            reward.score([make_trajectory(calls=HONEST)] * 18)
    with own_reward(tmp_path, "raises", weight=0.0) as reward:  # what adds nothing stops nothing
        assert reward.score([make_trajectory(calls=HONEST)])[0].total == 1.0


def test_a_grader_of_the_users_own_says_what_is_correct(tmp_path: Path) -> None:
    unboxed = make_trajectory(text="It is 72.", calls=HONEST, answer=())
    settings = load_preset("flexible")
    with build_reward(**{**settings, "grader": f"{write_rewards(tmp_path)}:graded"}) as reward:
        found = reward.score([unboxed, make_trajectory(text="It is 71.", calls=HONEST)])
    assert [row.total for row in found] == pytest.approx([1.0, 0.06])
    assert [row.terms["correct"] for row in found] == [1.0, 0.0]
