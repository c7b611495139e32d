"""How stage=rl opens its curriculum, anew and after a resume."""

import json
from pathlib import Path

import pytest

from mentor.config import CurriculumConfig, LoggerConfig, RlTrainer
from mentor.jsonl import read_jsonl
from mentor.loggers import build_logger
from mentor.policy.ranks import Ranks
from mentor.runs import RunFolder
from mentor.stages.rl_curriculum import OUTCOMES, open_curriculum, teacher_success
from mentor.types import RewardBreakdown, Task, TrajectoryGroup

TASKS = [Task(f"t{i}", "q", ("1",), "calculator") for i in range(4)]
SUCCESS = RlTrainer(curriculum=CurriculumConfig("success", rest_steps=2, window=1))


@pytest.fixture
def folder(tmp_path: Path) -> RunFolder:
    return RunFolder(tmp_path / "run" / "rl", tmp_path / "run")


def opened(trainer, folder, start):
    logger = build_logger(LoggerConfig(console=False, backends=[]), folder.path)
    return open_curriculum(trainer, folder, TASKS, 0, start, logger, Ranks())


def test_a_resumed_curriculum_is_that_of_its_checkpoint(folder: RunFolder):
    right = [RewardBreakdown(1.0, {"correct": 1.0})] * 2
    with opened(SUCCESS, folder, 0) as curriculum:
        for step, task in enumerate(TASKS[:3], start=1):
            curriculum.record(step, [TrajectoryGroup(task, [], right)])
    with opened(SUCCESS, folder, 2) as curriculum:
        assert [record["step"] for record in read_jsonl(folder.path / OUTCOMES)] == [1, 2]
        assert [curriculum.success(task) for task in TASKS] == [3 / 4, 3 / 4, 1 / 2, 1 / 2]
        assert {task.id for task in curriculum.draw(3, 0, 2)} == {"t2", "t3"}
        curriculum.record(3, [TrajectoryGroup(TASKS[3], [], right)])
    assert [record["task"] for record in read_jsonl(folder.path / OUTCOMES)] == ["t0", "t1", "t3"]


def test_a_shuffle_has_no_curriculum(folder: RunFolder):
    with opened(RlTrainer(), folder, 0) as curriculum:
        assert curriculum is None
    assert not (folder.path / OUTCOMES).exists()


def test_the_teachers_tries_say_what_a_task_is_like_before_the_student_was_asked(folder: RunFolder):
    logger = build_logger(LoggerConfig(console=False, backends=[]), folder.path)
    assert teacher_success(folder, logger) == {}
    path = folder.root / "rollout" / "samples.jsonl"
    path.parent.mkdir(parents=True)
    tries = [("t0", 0, "wrong_answer"), ("t0", 1, None), ("t1", 0, None), ("t0", 0, None), ("t0", 2, "length")]
    rows = [{"id": task, "sample": number, "reason": reason} for task, number, reason in tries]
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    # the later verdict on the first try counts: two of three, and one of one, with one right and one wrong beside
    assert teacher_success(folder, logger) == {"t0": 3 / 5, "t1": 2 / 3}
    with opened(SUCCESS, folder, 0) as curriculum:
        assert [curriculum.success(task) for task in TASKS] == [3 / 5, 2 / 3, 1 / 2, 1 / 2]
