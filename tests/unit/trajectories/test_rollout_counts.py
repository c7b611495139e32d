"""Counts over both files of a rollout folder, by hand."""

from mentor.jsonl import JsonlWriter
from mentor.trajectories.rollout_counts import RolloutCounts
from mentor.types import CallError, CallRecord, StopReason, Task, Trajectory


def made(task_id, *calls):
    """A stored trajectory that made these calls: (name, error)."""
    records = [CallRecord(turn, name, {}, error is None, error, 0.0) for turn, (name, error) in enumerate(calls)]
    messages = [{"role": "user", "content": "q"}, {"role": "assistant", "content": "\\boxed{1}"}]
    return Trajectory(Task(task_id, "q", ("1",), "calculator"), messages, "[]", StopReason.ANSWERED, records)


def test_counts_of_both_files_and_what_they_become(tmp_path):
    with JsonlWriter(tmp_path / "trajectories.jsonl") as verified, JsonlWriter(tmp_path / "rejected.jsonl") as rejected:
        verified.write(made("a", ("add", None), ("multiply", None), ("add", CallError.INVALID_ARGUMENTS)).to_dict())
        verified.write(made("b", ("add", None)).to_dict())
        rejected.write({"id": "c", "reason": "no_answer"})
        rejected.write({"id": "d", "reason": "wrong_answer"})
        rejected.write({"id": "e", "reason": "wrong_answer"})
    counts = RolloutCounts.stored(tmp_path, print)
    assert counts.ids == {"a", "b", "c", "d", "e"} and (counts.verified, counts.rejected) == (2, 3)
    assert counts.metrics() == {
        "rollout/verified": 2,
        "rollout/rejected": 3,
        "rollout/verified_share": 0.4,
        "rollout/calls_per_trajectory": 1.5,  # the call that failed was not executed
    }
    assert counts.counts() == {
        "tasks": 5,
        "verified": 2,
        "rejected": {"wrong_answer": 2, "no_answer": 1},
        "calls": 3,
        "tools": {"add": 2, "multiply": 1},
    }


def test_an_empty_folder_counts_nothing(tmp_path):
    counts = RolloutCounts.stored(tmp_path, print)
    assert (counts.ids, counts.verified, counts.verified_share) == (set(), 0, 0.0)
    assert counts.metrics()["rollout/calls_per_trajectory"] == 0
