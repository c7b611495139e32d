"""A trajectory judged by its calls; the rules are tested with the rows of the leaderboard, in evaluation/."""

import pytest

from mentor.calls.gold import gold_calls
from mentor.calls.schemas import check_schema
from mentor.errors import InputError
from mentor.rewards import build_reward, load_preset
from mentor.rewards.call_judge import calls_verdict
from mentor.types import CallError, CallRecord, GoldCalls, StopReason, Task, TaskTools, ToolCall, Trajectory

SCHEMA = check_schema({"name": "f", "parameters": {"type": "object", "properties": {"x": {"type": "string"}}}}, "test")
RIGHT = (ToolCall("f", {"x": "a"}),)
NOT_RUN = CallRecord(0, "f", {"x": "a"}, False, CallError.NOT_RUN)
WRONG = CallRecord(0, "f", {"x": "b"}, False, CallError.NOT_RUN)
UNREAD = CallRecord(0, None, {}, False, CallError.MALFORMED)


def said(*calls: CallRecord, right=RIGHT, stop=StopReason.CALLED, turns=1) -> Trajectory:
    gold = gold_calls(right, [SCHEMA], "test")
    task = Task("t", "q", (), "", reference=tuple(right), tools=TaskTools(None, [SCHEMA]), gold=gold)
    messages = [{"role": "user", "content": "q"}, *[{"role": "assistant", "content": ""}] * turns]
    return Trajectory(task, messages, "[]", stop, list(calls))


def test_calls_without_a_turn_and_malformed_ones_are_wrong():
    assert calls_verdict(said(NOT_RUN)).valid
    assert calls_verdict(said(turns=0, stop=StopReason.LENGTH)).error_type == "no_turn"
    assert calls_verdict(said(NOT_RUN, UNREAD)).error_type == "ast_decoder:decoder_wrong_output_format"
    assert calls_verdict(said(right=(), stop=StopReason.ANSWERED)).valid
    assert not calls_verdict(said(NOT_RUN, right=())).valid


@pytest.mark.parametrize(
    ("trajectory", "terms", "total"),
    [
        (said(NOT_RUN), (1, 1, 1), 1.0),
        (said(WRONG), (0, 1, 1), 0.3 * 0.2),
        (said(NOT_RUN, NOT_RUN), (0, 1 / 2, 1), 0.3 * 0.2 / 2),
        (said(UNREAD), (0, 0, 0), 0.0),
        (said(stop=StopReason.ANSWERED), (0, 0, 0), 0.0),
        (said(right=(), stop=StopReason.ANSWERED), (1, 1, 1), 1.0),
        (said(NOT_RUN, right=()), (0, 0, 1), 0.0),
    ],
)
def test_rewards_of_calls(trajectory, terms, total):
    with build_reward(**load_preset("flexible")) as reward:
        (breakdown,) = reward.score([trajectory])
    assert tuple(breakdown.terms.values()) == pytest.approx(terms) and breakdown.total == pytest.approx(total)


def test_a_turn_that_is_cut_off_gets_the_floor_and_released_rewards_refuse():
    with build_reward(**load_preset("sparse")) as sparse:
        cut = said(NOT_RUN, stop=StopReason.LENGTH)
        assert sparse.score([cut])[0].note == "unfinished"
    with build_reward(**load_preset("released_mentor")) as released:
        assert not released.can_score(cut.task)
        with pytest.raises(InputError, match="task 't' is judged by its calls, and reward 'released_mentor' reads a"):
            released.score([cut])


def test_gold_calls_are_stored_with_the_task():
    task = said(NOT_RUN).task
    assert Task.from_dict(task.to_dict()).gold == task.gold
    assert GoldCalls(**GoldCalls("relevance").to_dict()) == GoldCalls("relevance")
