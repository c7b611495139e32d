"""What stage=rl stores of a step's groups, and that a resume moves aside what follows its step."""

from pathlib import Path

from mentor.config import LoggerConfig
from mentor.jsonl import read_jsonl
from mentor.loggers import build_logger
from mentor.policy.ranks import Ranks
from mentor.runs import RunFolder
from mentor.stages.rl_files import roll_back_trajectories, store_groups, trajectory_file
from mentor.types import RewardBreakdown, StopReason, Trajectory, TrajectoryGroup
from tests.fixtures.rollouts import make_task


def test_rewards_are_stored_with_their_step_and_rolled_back_with_it(tmp_path: Path):
    folder = RunFolder(tmp_path, tmp_path)
    logger = build_logger(LoggerConfig(console=False, backends=[]), tmp_path)
    graded = RewardBreakdown(1.5, {"correct": 1.0}, parts={"correct": 1.0, "tool": 0.5})
    failed = RewardBreakdown(None, {}, note="the grader did not answer")
    members = [Trajectory(make_task(), [], "[]", StopReason.ANSWERED, []) for _ in range(2)]
    group = TrajectoryGroup(make_task(), members, [graded, failed], [0.0, None], [{"correct": 0.5, "tool": -0.5}, None])
    faded = TrajectoryGroup(make_task(), members[:1], [graded], [0.0], [{}], guidance=0.25)
    with trajectory_file(folder, logger, Ranks()) as store:
        for step in (1, 2):
            store_groups(store, [group], step)
        store_groups(store, [faded], 1)
    roll_back_trajectories(folder, 1, logger, Ranks())
    *stored, last = read_jsonl(tmp_path / "trajectories" / "trajectories.jsonl")
    assert last["reward"]["guidance"] == 0.25
    assert [(row["step"], row["advantage"]) for row in stored] == [(1, 0.0), (1, None)]
    assert stored[0]["reward"] == {"total": 1.5, "terms": {"correct": 1.0}, "parts": {"correct": 1.0, "tool": 0.5}}
    assert [row["advantage_parts"] for row in stored] == [{"correct": 0.5, "tool": -0.5}, None]
    assert all("turn_advantages" not in row for row in stored)
    assert stored[1]["reward"]["note"] == "the grader did not answer"
