"""mentor/stages/rollout.py: both files in task order, resuming, counts, and a stage without any trajectory."""

import json

import pytest

from mentor.config import Config, LoggerConfig, RolloutStage, TaskConfig, ToolsConfig, WorkedTeacher
from mentor.errors import InputError, StageError
from mentor.jsonl import read_jsonl
from mentor.loggers import build_logger
from mentor.runs import RunFolder
from mentor.stages.rollout import run
from mentor.trajectories.store import load_trajectories


def worked(number, expression, answer):
    return {"question": f"Question {number}?", "answer": f"<<{expression}>>\n#### {answer}"}


ROWS = [
    worked(0, "2+3=5", "5"),
    worked(1, "2+3=5", "6"),
    worked(2, "4*5-1=19", "19"),
    {"question": "Question 3?", "answer": "It is so.\n#### 1"},
    worked(4, "8/2=4", "4"),
    worked(5, "8/0=4", "4"),
    worked(6, "9-1=8", "8"),
]


def rollout(tmp_path, rows=ROWS, **stage):
    source = tmp_path / "rows.jsonl"
    source.write_text("".join(json.dumps(row) + "\n" for row in rows))
    config = Config(
        stage=RolloutStage("rollout", **{"concurrency": 3, **stage}),
        task=TaskConfig("gsm8k", path=str(source)),
        teacher=WorkedTeacher("annotated"),
        tools=ToolsConfig("calculator"),
    )
    config.freeze()
    folder = tmp_path / "rollout"
    folder.mkdir(exist_ok=True)
    logger = build_logger(LoggerConfig(console=False, wandb="disabled"), folder)
    result = run(config, RunFolder(folder, tmp_path), logger)
    logger.close()
    return result, folder


def contents(folder):
    """Both files without the measured seconds."""
    kept = [trajectory.to_dict() for trajectory in load_trajectories(folder / "trajectories.jsonl")]
    for record in kept:
        for call in record["calls"]:
            call["seconds"] = 0
    return kept, list(read_jsonl(folder / "rejected.jsonl"))


def test_outcomes_in_task_order_with_counts_and_reasons(tmp_path):
    result, folder = rollout(tmp_path)
    kept, rejected = contents(folder)
    assert [record["task"]["question"] for record in kept] == [f"Question {n}?" for n in (0, 2, 4, 6)]
    assert [(row["id"], row["reason"]) for row in rejected] == [
        ("rows-000001", "wrong_result"),
        ("rows-000003", "no_annotation"),
        ("rows-000005", "execution_error"),
    ]
    assert rejected[0]["question"] == "Question 1?" and rejected[0]["detail"] == "executed 5, the answer is 6"
    assert result.headline == ("rollout/verified_share", 4 / 7)
    assert result.counts == {
        "tasks": 7,
        "verified": 4,
        "rejected": {"wrong_result": 1, "no_annotation": 1, "execution_error": 1},
        "calls": 5,
        "tools": {"subtract": 2, "add": 1, "multiply": 1, "divide": 1},
    }
    assert set(result.seconds) == {"load", "solve"}
    (metrics,) = read_jsonl(folder / "metrics.jsonl")
    assert metrics["rollout/verified"] == 4 and metrics["rollout/calls_per_trajectory"] == 1.25


def test_an_interrupted_rollout_goes_on_where_it_stopped(tmp_path):
    whole, folder = rollout(tmp_path)
    expected = contents(folder)
    lines = (folder / "trajectories.jsonl").read_text().splitlines(keepends=True)
    (folder / "trajectories.jsonl").write_text("".join(lines[:2]) + lines[2][:40])
    (folder / "rejected.jsonl").write_text((folder / "rejected.jsonl").read_text().splitlines(keepends=True)[0])
    first_two = "".join(lines[:2])
    again, folder = rollout(tmp_path)
    assert contents(folder) == expected
    assert (folder / "trajectories.jsonl").read_text().startswith(first_two)  # not done again
    assert (again.headline, again.counts) == (whole.headline, whole.counts)
    done, folder = rollout(tmp_path)
    assert contents(folder) == expected and done.counts == whole.counts


def test_limit_and_any_concurrency_give_the_beginning_of_the_same_files(tmp_path):
    rollout(tmp_path)
    (tmp_path / "b").mkdir()
    result, folder = rollout(tmp_path / "b", limit=3, concurrency=1)
    assert result.counts["tasks"] == 3
    kept, rejected = contents(folder)
    everything = contents(tmp_path / "rollout")
    assert kept == everything[0][:2] and rejected == everything[1][:1]


def test_no_verified_trajectory_and_no_file_stop_the_stage(tmp_path):
    with pytest.raises(StageError, match="none of 1 tasks gave a verified trajectory; rejected: {'wrong_result': 1}"):
        rollout(tmp_path, rows=ROWS[1:2])
    with pytest.raises(InputError, match="the file holds no rows"):
        rollout(tmp_path, rows=[])
