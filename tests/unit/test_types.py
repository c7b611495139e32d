"""The records that flow: their checks, and that they come back from JSON as they were."""

import json
from dataclasses import replace

import pytest

from mentor.types import (
    CallError,
    CallRecord,
    GroupKind,
    NamedCall,
    RewardBreakdown,
    StopReason,
    Task,
    TaskTools,
    Tokens,
    ToolCall,
    Trajectory,
    TrajectoryGroup,
)

CALL = CallRecord(0, "add", {"a": 1}, True, seconds=0.25)
FAILED = CallRecord(0, None, {}, False, CallError.MALFORMED)


def tokens(segments: int = 1) -> Tokens:
    """Two tokens of prompt, two sampled; with two segments once more after another prompt."""
    made = Tokens()
    made.append_prompt([1, 2])
    made.append_sampled([3, 4], [-0.5, -1.0])
    if segments == 2:
        made.append_prompt([1, 9])
        made.append_sampled([5], [-2.0])
    return made


def trajectory(stop_reason: StopReason = StopReason.ANSWERED, segments: int = 1) -> Trajectory:
    calls = (
        ToolCall("add", {"a": 1}, "2"),
        ToolCall("add", {"a": 3}),
        NamedCall("store"),
        NamedCall("read", result=""),
    )
    task = Task("t", "q", ("1",), "calculator", reference=calls)
    messages = [{"role": "user", "content": "q"}, {"role": "assistant", "content": "\\boxed{1}"}]
    return Trajectory(task, messages, "[]", stop_reason, [CALL, FAILED], tokens(segments), "r", "<e>", "1-0", "full", 2)


def test_a_call_is_ok_exactly_without_an_error():
    for ok, error in ((True, CallError.TIMEOUT), (False, None)):
        with pytest.raises(ValueError, match="ok exactly when it has no error"):
            CallRecord(0, "add", {}, ok, error)
    forms = {CallError.MALFORMED, CallError.UNKNOWN_TOOL, CallError.INVALID_ARGUMENTS}
    assert {error for error in CallError if not CallRecord(0, "add", {}, False, error).well_formed} == forms
    assert CALL.well_formed


def test_tokens_grow_together_and_the_mask_is_true_on_sampled_ones():
    made = tokens()
    made.append_context([7])
    assert made.token_ids == [1, 2, 3, 4, 7] and made.loss_mask == [False, False, True, True, False]
    assert made.logprobs == [0.0, 0.0, -0.5, -1.0, 0.0]
    assert (len(made), made.sampled, made.longest, made.starts) == (5, 2, 5, [0])
    with pytest.raises(ValueError, match="2 sampled tokens came with 1 logprobs"):
        made.append_sampled([1, 2], [0.0])


def test_a_prompt_that_continues_the_last_segment_extends_it_and_another_begins_the_next():
    made = tokens()
    made.append_prompt([1, 2, 3, 4, 8])
    assert made.starts == [0] and made.token_ids == [1, 2, 3, 4, 8]
    made.append_prompt([1, 9])
    assert made.starts == [0, 5] and made.last_segment() == [1, 9] and made.longest == 5
    first, second = made.segments()
    assert (first.token_ids, second.token_ids, second.starts) == ([1, 2, 3, 4, 8], [1, 9], [0])


@pytest.mark.parametrize("starts", [[], [1], [0, 0], [0, 2], [0, 3]])
def test_segments_begin_at_0_and_hold_a_token_each(starts):
    with pytest.raises(ValueError, match="segments of 2 tokens start at 0"):
        Tokens([1, 2], [True, True], [0.0, 0.0], starts)


def test_lists_of_other_lengths_are_refused():
    with pytest.raises(ValueError, match="differ in length: 2, 1, 2"):
        Tokens([1, 2], [True], [0.0, 0.0])


@pytest.mark.parametrize("segments", [1, 2])
def test_a_trajectory_comes_back_from_json(segments):
    made = trajectory(segments=segments)
    row = json.loads(json.dumps(made.to_dict()))
    assert Trajectory.from_dict(row) == made and ("starts" in row["tokens"]) == (segments == 2)
    assert row["task"]["reference"] == [
        {"name": "add", "arguments": {"a": 1}, "result": "2"},
        {"name": "add", "arguments": {"a": 3}},
        {"name": "store", "arguments": None},
        {"name": "read", "arguments": None, "result": ""},
    ]
    with pytest.raises(ValueError, match="trajectory schema 0, accepted: 1"):
        Trajectory.from_dict({**row, "schema": 0})


def test_a_task_comes_back_with_its_own_tools_and_without_a_reference():
    task = Task("t", "q", ("1", "2"), "own", "test", tools=TaskTools("def f(): ...", [{"type": "function"}]))
    assert Task.from_dict(json.loads(json.dumps(task.to_dict()))) == task
    assert "tools" not in Task("t", "q", (), "calculator").to_dict()


def test_only_an_answered_trajectory_has_a_final_text():
    assert trajectory().final_text == "\\boxed{1}" and trajectory().turns == 1
    assert trajectory(StopReason.LENGTH).final_text is None
    assert trajectory().executed_calls() == [ToolCall("add", {"a": 1})]


def test_results_of_calls_are_read_from_the_tool_messages_of_their_turn():
    def turn(*replies: str) -> list[dict]:
        return [{"role": "assistant", "content": ""}, *({"role": "tool", "content": text} for text in replies)]

    add = CallRecord(0, "add", {}, True)
    calls = [add, replace(FAILED, turn=0), replace(add, turn=1), replace(add, turn=2), replace(add, turn=4)]
    messages = [{"role": "user", "content": "q"}, *turn(" 3\n", "{}"), *turn("4", "5"), *turn("x" * 300), *turn()]
    made = replace(trajectory(), calls=calls, messages=messages)
    # turn 1 has a reply too many, turn 4 is not there; a failed call returns nothing
    assert [call.result for call in made.calls_with_results()] == ["3", None, None, "x" * 200, None]
    assert [call.result for call in made.executed_calls()] == ["3", None, "x" * 200, None]
    assert made.calls == calls and "result" not in made.to_dict()["calls"][0]


def test_parts_of_a_reward_sum_to_its_total():
    reward = RewardBreakdown(0.3, {"correct": 1.0}, parts={"correct": 0.1, "tool": 0.2})
    changed = reward.with_part("overlong", -0.05)
    assert changed.total == 0.25 and changed.parts == {"correct": 0.1, "tool": 0.2, "overlong": -0.05}
    assert RewardBreakdown(0.5, {}).contributions == {"total": 0.5}
    none = RewardBreakdown(None, {"correct": None})
    assert none.contributions is None and none.with_part("x", 1.0) is none and none.correct is None
    assert RewardBreakdown(0.5, {}).correct == 0.0


@pytest.mark.parametrize(
    ("correct", "kind"),
    [
        ([1.0, 1.0], GroupKind.ALL_PASS),
        ([0.0, 0.0], GroupKind.ALL_FAIL),
        ([0.0, 1.0], GroupKind.MIXED),
        ([None, 1.0], GroupKind.ALL_PASS),
        ([None, None], None),
    ],
)
def test_the_kind_of_a_group_is_that_of_its_graded_answers(correct, kind):
    rewards = [RewardBreakdown(None if value is None else 1.0, {"correct": value}) for value in correct]
    assert TrajectoryGroup(Task("t", "q", (), "calculator"), [], rewards).kind is kind


# --- segments


def make_segments(*segments):
    """Segments as ids, of which the second half is sampled."""
    tokens = Tokens()
    for ids in segments:
        half = len(ids) // 2
        tokens.append_prompt(ids[:half])
        tokens.append_sampled(ids[half:], [-3.0] * (len(ids) - half))
    return tokens


def test_a_prompt_goes_on_from_the_last_segment_or_begins_another():
    tokens = make_segments([1, 2, 3, 4])
    tokens.append_prompt([1, 2, 3, 4, 5])
    assert (tokens.starts, tokens.last_segment(), tokens.loss_mask) == (
        [0],
        [1, 2, 3, 4, 5],
        [False] * 2 + [True] * 2 + [False],
    )
    tokens.append_prompt([1, 2, 4, 5, 6])
    tokens.append_sampled([7], [-0.5])
    assert tokens.turn_starts == [2, 5, 10]  # two prompts before the turn that was sampled last
    assert tokens.starts == [0, 5] and tokens.last_segment() == [1, 2, 4, 5, 6, 7]
    one, other = tokens.segments()
    assert one.token_ids == [1, 2, 3, 4, 5] and one.starts == [0] and one.sampled == 2
    assert other.token_ids == [1, 2, 4, 5, 6, 7] and other.logprobs[-1] == -0.5 and other.sampled == 1
    assert (len(tokens), tokens.longest, tokens.sampled) == (11, 6, 3)


@pytest.mark.parametrize("starts", [[], [1], [0, 0], [0, 2], [0, 3]])
def test_segments_that_make_no_sense_are_refused(starts):
    with pytest.raises(ValueError, match="segments of 2 tokens"):
        Tokens([1, 2], [False, True], [0.0, -1.0], starts)


def test_segments_are_stored_and_records_without_them_stay_readable():
    trajectory = Trajectory(
        Task("t", "q", ("9",), "calculator"), [], "[]", StopReason.ANSWERED, [], make_segments([1, 2, 3, 4], [5, 6])
    )
    row = json.loads(json.dumps(trajectory.to_dict()))
    assert row["tokens"]["turn_starts"] == [2, 5]
    assert row["tokens"]["starts"] == [0, 4] and Trajectory.from_dict(row).tokens == trajectory.tokens
    whole = replace(trajectory, tokens=make_segments([1, 2, 3, 4]))
    assert "starts" not in whole.to_dict()["tokens"]
    assert Trajectory.from_dict(whole.to_dict()).tokens == whole.tokens
    stored = whole.to_dict()
    del stored["tokens"]["turn_starts"]
    assert Trajectory.from_dict(stored).tokens.turn_starts == []


def test_a_task_with_earlier_messages_comes_back_and_its_turns_are_those_that_answer_it():
    earlier = ({"role": "user", "content": "Hello?"}, {"role": "assistant", "content": "Yes."})
    task = Task("t", "1?", ("1",), "calculator", earlier=earlier)
    assert Task.from_dict(task.to_dict()) == task and task.prompt[-1] == {"role": "user", "content": "1?"}
    messages = [*task.prompt, {"role": "assistant", "content": "1"}]
    answered = Trajectory(task, messages, "[]", StopReason.ANSWERED, [])
    assert (answered.first_turn, answered.turns) == (1, 1)
    assert "earlier" not in Task("t", "1?", ("1",), "calculator").to_dict()


def test_parts_of_a_reward_are_scaled_with_their_weights_and_what_turns_earned_of_them():
    parts, earned = {"correct": 0.6, "match": 0.3}, {"match": (0.0, 0.2)}
    whole = RewardBreakdown(0.9, {}, parts=parts, weights={"correct": 0.6, "match": 0.3}, earned=earned)
    found = whole.scaled({"match", "valid"}, 0.5)
    assert found.total == 0.75 and found.parts == {"correct": 0.6, "match": 0.15}
    assert found.weights == {"correct": 0.6, "match": 0.15} and found.earned == {"match": (0.0, 0.1)}
    for other in (RewardBreakdown(None, {}), RewardBreakdown(0.1, {"correct": 0.0})):  # no total, and no sum of terms
        assert other.scaled({"match"}, 0.5) == other
