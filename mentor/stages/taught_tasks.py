"""What stage=rl trains on: the tasks that the teacher solved, and what of them is refused before a model is loaded."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cache
from pathlib import Path

from mentor.chat import ChatFormat
from mentor.config import RewardConfig
from mentor.errors import InputError, StageError
from mentor.jsonl import read_jsonl
from mentor.runs import RunFolder
from mentor.tools import Toolbox
from mentor.trajectories.store import load_trajectories
from mentor.types import Task, Trajectory


def teacher_trajectories(folder: RunFolder, toolbox: Toolbox, any_answer: bool = False) -> list[Trajectory]:
    """Load the teacher's trajectories with a known answer or right calls, in the rollout's order.

    Their tasks are trained on.

    any_answer: those without a known answer too.

    Raises InputError for a toolset other than the teacher's and where no task has an answer, StageError where there is
    no trajectory.
    """
    path = folder.upstream("rollout/trajectories.jsonl", made_by="rollout")
    stored = load_trajectories(path)
    if not stored:
        raise StageError(f"{path} holds no trajectory: run `mentor stage=rollout` again")
    trajectories = [entry for entry in stored if any_answer or entry.task.answer or entry.task.gold]
    if not trajectories:
        raise InputError(
            f"{path}: none of {len(stored)} tasks has an answer, which stage=rl rewards; accepted: rows with one, "
            "whose key stage=rollout is given as task.columns.answer=<key>, or right calls (task.columns.calls); "
            "stage=sft needs none"
        )
    for trajectory in trajectories:
        if trajectory.tools != toolbox.schemas_json(trajectory.task):
            raise InputError(
                f"tools: task {trajectory.task.id} of {path} was solved with another toolset than `tools` gives now; "
                "accepted: the toolset of the rollout stage"
            )
    return trajectories


def check_format(tasks: Sequence[Task], reward: RewardConfig) -> None:
    """Raise InputError for a released reward, which reads boxes alone, on tasks with another format of the answer."""
    other = next((task for task in tasks if task.answer_format != "boxed"), None)
    if reward.family == "released" and other is not None:
        raise InputError(
            f"reward={reward.name} reads \\boxed{{}} alone, and the rollout has task.answer_format="
            f"{other.answer_format}; accepted: a reward of the family project, or a rollout with "
            "task.answer_format=boxed"
        )


def fitting_prompt(tasks: Sequence[Task], toolbox: Toolbox, chat: ChatFormat, max_tokens: int) -> Sequence[int]:
    """Return the first prompt that leaves room for an answer. Raises InputError where none does."""
    lengths: dict[str, int] = {}
    for task in tasks:
        prompt = chat.prompt_ids(task.question, toolbox.schemas_json(task), task.earlier)
        if len(prompt) < max_tokens:
            return prompt
        lengths[task.id] = len(prompt)
    shortest = min(lengths, key=lengths.__getitem__)
    raise InputError(
        f"sampler.max_tokens={max_tokens} leaves no room for an answer to any of {len(tasks)} tasks: the shortest "
        f"prompt, of task {shortest}, has {lengths[shortest]} tokens with its tools; accepted: more than that"
    )


def conversation_tokens(taught: Sequence[Trajectory], chat: ChatFormat) -> Callable[[str], int]:
    """Count, by task id, the teacher's tokens in the student's format, about as many as the student's."""
    by_task = {trajectory.task.id: trajectory for trajectory in taught}
    return cache(lambda task_id: len(chat.render(by_task[task_id])))


def without_teacher(root: Path) -> int:
    """Count the tasks that no reward trains on, because the teacher gave no trajectory for them."""
    rejected = root / "rollout" / "rejected.jsonl"
    return len(rejected.read_text(encoding="utf-8").splitlines()) if rejected.is_file() else 0


def without_answer(root: Path) -> int:
    """Count the teacher's tasks that are not trained on, because nothing says what is right."""
    tasks = (record["task"] for record in read_jsonl(root / "rollout" / "trajectories.jsonl"))
    return sum(not (task["answer"] or task.get("gold")) for task in tasks)
