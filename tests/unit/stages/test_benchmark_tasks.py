"""The tasks that a benchmark asks, with a teacher's calls, and how many of them were trained on."""

from pathlib import Path

from mentor.config import BenchmarkConfig, Config, EvalStage, TaskColumns, TaskConfig, ToolsConfig
from mentor.loggers import Logger
from mentor.loggers.console import Console
from mentor.stages.benchmark_tasks import benchmark_tasks, count_seen, seen_in_training
from mentor.types import Task, ToolCall
from tests.fixtures.run_folder import make_trajectory, write_lines


def row(name: str, b: int, answer: str) -> dict:
    calls = [{"name": "add", "arguments": {"a": 2, "b": b}}]
    return {"id": name, "question": f"What is 2 plus {b}?", "answer": answer, "calls": calls}


ROWS = [row("a", 3, "5"), row("b", 4, "7")]


def settings(path: Path, teacher: str | None = None, limit: int | None = None) -> tuple[BenchmarkConfig, Config]:
    task = TaskConfig("jsonl", path=str(path), columns=TaskColumns(reference="calls"))
    entry = BenchmarkConfig(task, {"test": "id"}, teacher=teacher)
    stage = EvalStage("eval") if limit is None else EvalStage("eval", limit=limit)
    return entry, Config(stage=stage, tools=ToolsConfig("calculator"), benchmark={"mine": entry})


def test_a_teacher_puts_its_executed_calls_into_the_tasks(tmp_path: Path) -> None:
    write_lines(tmp_path / "rows.jsonl", ROWS)
    plain = benchmark_tasks("mine", *settings(tmp_path / "rows.jsonl"))
    assert [task.question for task in plain] == [row["question"] for row in ROWS]
    right, rejected = benchmark_tasks("mine", *settings(tmp_path / "rows.jsonl", teacher="annotated"))
    assert right.reference == (ToolCall("add", {"a": 2, "b": 3}, "5"),)
    assert rejected == plain[1], "its result is not the answer, so the task stays as it was"
    [first] = benchmark_tasks("mine", *settings(tmp_path / "rows.jsonl", limit=1))
    assert first == plain[0]


def test_questions_of_the_rollout_are_counted_case_and_spacing_aside(tmp_path: Path, capsys) -> None:
    tasks = [Task("x", " what is 2  PLUS 3?", ("5",), "", "test"), Task("y", "Another?", ("1",), "", "test")]
    assert seen_in_training(tasks, tmp_path) == 0
    write_lines(tmp_path / "rollout/trajectories.jsonl", [make_trajectory().to_dict()])
    assert count_seen({"mine": tasks, "other": tasks[1:]}, tmp_path, Logger(Console(False))) == {"mine": 1, "other": 0}
    assert capsys.readouterr().err.splitlines() == ["mine: 1 of 2 questions are among the run's training tasks"]
