"""The curriculum of a run of stage=rl: what the teacher's tries say of its tasks, and the outcomes so far."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager, nullcontext

from mentor.config import RlTrainer
from mentor.jsonl import JsonlWriter, read_jsonl, roll_back
from mentor.loggers import Logger
from mentor.policy.ranks import Ranks
from mentor.rl.curriculum import Curriculum, CurriculumSettings
from mentor.runs import RunFolder
from mentor.teachers.sampled import SAMPLES, latest_samples
from mentor.types import Task

OUTCOMES = "curriculum.jsonl"


@contextmanager
def open_curriculum(
    trainer: RlTrainer, folder: RunFolder, tasks: Sequence[Task], seed: int, start: int, logger: Logger, ranks: Ranks
) -> Iterator[Curriculum | None]:
    """Open the curriculum as it was after step `start`; None where tasks are drawn from a shuffle.

    Rank 0 reads and writes the outcomes of groups.
    """
    if trainer.curriculum.draw == "shuffle":
        yield None
        return
    path = folder.path / OUTCOMES
    stored = []
    if ranks.is_main:
        roll_back(path, start)
        stored = list(read_jsonl(path, logger.message)) if path.is_file() else []
    settings = CurriculumSettings(trainer.curriculum.rest_steps, trainer.curriculum.window)
    with JsonlWriter(path, logger.message) if ranks.is_main else nullcontext() as store:
        curriculum = Curriculum(tasks, settings, seed, teacher_success(folder, logger), store)
        curriculum.replay(ranks.all_gather(stored)[0])
        yield curriculum


def teacher_success(folder: RunFolder, logger: Logger) -> dict[str, float]:
    """Return by task id the share of the teacher's tries that were right, with one right and one wrong try added.

    Empty where the rollout stored no tries.
    """
    path = folder.root / "rollout" / SAMPLES
    tries: dict[str, list[bool]] = {}
    for record in latest_samples(path, logger.message):
        tries.setdefault(record["id"], []).append(record["reason"] is None)
    return {task: (sum(right) + 1) / (len(right) + 2) for task, right in tries.items()}
