"""What each turn earned of a reward, by hand."""

from dataclasses import replace

import pytest

from mentor.rewards import build_reward, load_preset
from mentor.types import CallError, CallRecord, StopReason, Task, ToolCall, Trajectory
from tests.fixtures.own_rewards import write_rewards
from tests.unit.rewards.builders import make_trajectory


def by_turn(text, *turns, **changes):
    """A trajectory of turns of calls, each a list of (name, error), and a final turn."""
    calls = [
        CallRecord(number, name, {}, not error, error) for number, made in enumerate(turns) for name, error in made
    ]
    trajectory = make_trajectory(text, calls, **changes)
    said = [{"role": "assistant", "content": ""}] * len(turns)
    return replace(trajectory, messages=[trajectory.messages[0], *said, trajectory.messages[1]])


def earned(reward, *trajectories):
    return [breakdown.earned for breakdown in reward.score(trajectories)]


RIGHT, WRONG = r"\boxed{72}", r"\boxed{71}"
RAN, FAILED = ("divide", None), ("divide", CallError.EXCEPTION)


def test_calls_earn_the_match_and_the_share_of_valid_ones_turn_by_turn():
    unknown = ("div", CallError.UNKNOWN_TOOL)
    trajectory = by_turn(RIGHT, [RAN, unknown], [("add", None)])
    with build_reward(**load_preset("flexible"), by_turn=True) as reward:
        (found,) = earned(reward, trajectory)
        # coverage: 1 / 2, then (1 + 2 / 3) / 2; valid: 1/2, then 2/3
        assert found == {
            "match": pytest.approx((0.0, 0.3 * 0.5, 0.3 * 5 / 6)),
            "valid": pytest.approx((0, 0.05, 0.1 * 2 / 3)),
        }
        (whole,) = reward.score([trajectory])
        assert whole.earned["match"][-1] == whole.parts["match"]  # the final turn calls nothing
        (wrong,) = earned(reward, by_turn(WRONG, [RAN, unknown], [("add", None)]))
        assert wrong == {"match": pytest.approx((0.0, 0.2 * 0.3 * 0.5, 0.2 * 0.3 * 5 / 6)), "valid": (0.0, 0.0, 0.0)}


def test_a_turn_can_lose_what_was_earned():
    with build_reward(**load_preset("flexible"), by_turn=True) as reward:
        (found,) = earned(reward, by_turn(RIGHT, [RAN, ("add", None)], [FAILED]))
    assert found["match"] == pytest.approx((0.0, 0.3, 0.3 * 5 / 6))


def test_what_is_known_of_the_whole_trajectory_alone_is_not_in_it(tmp_path):
    cut = replace(by_turn(RIGHT, [RAN]), stop_reason=StopReason.LENGTH)
    own = f"{write_rewards(tmp_path)}:brief"
    terms = {"correct": {"term": "correct", "weight": 0.5}, "short": {"term": own, "weight": 0.1}}
    with build_reward(**load_preset("sparse"), by_turn=True) as sparse, build_reward(terms=terms, by_turn=True) as mine:
        assert earned(sparse, by_turn(RIGHT, [RAN])) == earned(mine, by_turn(RIGHT, [RAN])) == [{}]
    with build_reward(**load_preset("flexible"), by_turn=True) as reward:
        assert earned(reward, cut) == [{}], "a floor"
        direct = by_turn(RIGHT, teacher=())
        assert earned(reward, direct) == [{"match": (0.0,), "valid": (0.0,)}]  # all is earned by answering at once
    with build_reward(**load_preset("flexible")) as reward:
        assert earned(reward, by_turn(RIGHT, [RAN])) == [{}], "where it is not asked for"


def test_turns_of_the_task_itself_earn_nothing():
    """Earlier turns are part of the question: calls count the turns of all messages."""
    task = Task("t", "?", ("72",), "calculator", reference=(ToolCall("divide", {}),))
    task = replace(task, earlier=({"role": "user", "content": "Hi"}, {"role": "assistant", "content": "Hello"}))
    said = [{"role": "assistant", "content": ""}, {"role": "assistant", "content": RIGHT}]
    calls = [CallRecord(1, "divide", {}, True)]
    trajectory = Trajectory(task, [*task.prompt, *said], "[]", StopReason.ANSWERED, calls)
    with build_reward(**load_preset("flexible"), by_turn=True) as reward:
        assert earned(reward, trajectory) == [{"match": pytest.approx((0.0, 0.3)), "valid": pytest.approx((0.0, 0.1))}]
