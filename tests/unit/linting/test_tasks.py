"""What a reward is linted on."""

import json
from pathlib import Path

from mentor.linting.tasks import generated_tasks, plain_chat, teacher_tasks
from mentor.tools import Toolbox, Toolset
from mentor.types import CallRecord, StopReason, Task, ToolCall, Trajectory

MESSAGES = [{"role": "user", "content": "?"}, {"role": "assistant", "content": "3"}]


def stored(path: Path, *tasks: Task) -> Path:
    rows = [Trajectory(task, MESSAGES, "[]", StopReason.ANSWERED, [CallRecord(0, "add", {}, True)]) for task in tasks]
    path.write_text("".join(json.dumps(row.to_dict()) + "\n" for row in rows))
    return path


def test_the_first_tasks_whose_teacher_used_tools(tmp_path: Path):
    plain = Task("plain", "q", ("1",), "calculator", reference=())
    tasks = [Task(name, "q", ("3",), "calculator", reference=(ToolCall("add", {"a": 1, "b": 2}),)) for name in "abc"]
    path = stored(tmp_path / "trajectories.jsonl", plain, *tasks)
    assert [task.id for task in teacher_tasks(path, 2)] == ["a", "b"]


def test_generated_tasks_have_the_calls_of_their_programs():
    tasks = generated_tasks(Toolbox(Toolset.builtin("calculator")), 2)
    assert len(tasks) == 2
    assert all(task.reference and all(isinstance(call, ToolCall) for call in task.reference) for task in tasks)


def test_a_format_without_a_model():
    chat = plain_chat(["What is 12 plus 34?"] * 20)
    assert chat.turn_text({"role": "assistant", "content": "46"}).startswith("46")
