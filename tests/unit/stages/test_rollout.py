"""mentor/stages/rollout.py: both files in task order, resuming, counts, and a stage without any trajectory."""

import json

import pytest

from mentor.cli import main
from mentor.config import Config, LoggerConfig, RolloutStage, TaskConfig, ToolsConfig, WorkedTeacher
from mentor.errors import InputError, StageError
from mentor.files import write_file
from mentor.jsonl import read_jsonl, to_line
from mentor.loggers import build_logger
from mentor.runs import RunFolder
from mentor.stages.rollout import evaluation_question, reopen, run
from mentor.tasks.calculator import generate
from mentor.trajectories.store import load_trajectories
from tests.fixtures.teacher_rollouts import (
    ids,
    run_stage,
)
from tests.fixtures.traces import sums_row, traced


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


def rollout(tmp_path, rows=ROWS, answer_format="boxed", **stage):
    tmp_path.mkdir(exist_ok=True)
    source = tmp_path / "rows.jsonl"
    source.write_text("".join(json.dumps(row) + "\n" for row in rows))
    config = Config(
        stage=RolloutStage("rollout", **{"concurrency": 3, **stage}),
        task=TaskConfig("gsm8k", path=str(source), answer_format=answer_format),
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


def test_tools_that_never_worked_are_in_the_summary_and_those_that_did_once_are_not(tmp_path):
    rows = [worked(0, "2+3=5", "5"), worked(1, "8/0=4", "4"), worked(2, "9/0=4", "4")]
    result, _ = rollout(tmp_path, rows)
    how = "2 of 2 calls failed, the first: exception: ZeroDivisionError: division by zero"
    assert result.counts["tools_that_never_worked"] == {"divide": how}
    result, _ = rollout(tmp_path / "other", [*rows, worked(3, "8/2=4", "4")])
    assert "tools_that_never_worked" not in result.counts


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


def test_questions_that_ask_for_another_answer_format_are_told(tmp_path, capsys):
    rows = [{**row, "question": row["question"] + " End with ####."} for row in ROWS]
    rollout(tmp_path / "boxed", rows)
    line = "7 of 7 questions ask for the final answer after ####, on a line of its own, but answers are read with"
    said = capsys.readouterr().err
    assert f"{line} task.answer_format=boxed: task.answer_format=hashes reads what they ask for" in said
    _, folder = rollout(tmp_path / "hashes", rows, answer_format="hashes")
    assert "questions ask for" not in capsys.readouterr().err
    first = load_trajectories(folder / "trajectories.jsonl")[0]
    assert (first.task.answer_format, first.messages[-1]["content"]) == ("hashes", "#### 5")


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


def test_tasks_like_an_evaluation_question_are_dropped_and_listed(tmp_path):
    tasks = generate("train", 30, 3, 0)
    evaluation = tmp_path / "test.jsonl"
    rows = [{"question": tasks[3].question.upper()}, {"task": {"question": tasks[7].question}}, {"question": "Hm?"}]
    evaluation.write_text("".join(json.dumps(row) + "\n" for row in rows))
    result = run_stage(tmp_path / "r", "task.size=30", f"stage.decontaminate=[{evaluation}]", "stage.limit=20")
    listed = list(read_jsonl(tmp_path / "r" / "contaminated.jsonl"))
    dropped = [row["id"] for row in listed]
    assert {tasks[3].id, tasks[7].id} <= set(dropped) and result.counts["contaminated"] == len(dropped)
    assert {row["file"] for row in listed} == {str(evaluation)} and all(row["shared"] for row in listed)
    kept = [task.id for task in tasks if task.id not in dropped][:20]
    assert ids(tmp_path / "r") == kept, "the limit counts what is left"


def test_nothing_verified_shows_an_example_and_corrected_input_needs_no_overwrite(tmp_path, monkeypatch, capfd):
    """Through the command: the folder of a rollout that verified nothing is taken by another configuration."""
    monkeypatch.chdir(tmp_path)
    command = ["stage=rollout", "task=gsm8k", "task.path=rows.jsonl", "teacher=annotated", "logger=quiet"]
    rows, folder = tmp_path / "rows.jsonl", tmp_path / "outputs/default/rollout"
    rows.write_text(json.dumps(worked(0, "2+3=5", "6")))
    assert main(command) == 1
    said = capfd.readouterr().err
    assert "none of 1 tasks gave a verified trajectory; rejected: {'wrong_result': 1}" in said
    assert "for example rows-000000: wrong_result, executed 5, the answer is 6; all in outputs/default/rollout/" in said
    rows.write_text("\n")
    assert main(command) == 2 and "holds no rows" in capfd.readouterr().err
    rows.write_text(json.dumps(worked(0, "2+3=5", "5")))
    assert main(command) == 0
    assert len(load_trajectories(folder / "trajectories.jsonl")) == 1
    assert (folder / "rejected.jsonl").read_bytes() == b""
    kept = (folder / "trajectories.jsonl").read_bytes()
    rows.write_text(json.dumps(worked(0, "4+4=8", "8")))
    assert main(command) == 2 and "overwrite=true" in capfd.readouterr().err
    assert (folder / "trajectories.jsonl").read_bytes() == kept, "a verified trajectory is protected"


def test_an_error_message_shortens_a_long_detail(tmp_path):
    long = {"question": "How many?", "answer": f"<<{'1+' * 90}x=5>>\n#### 5"}
    with pytest.raises(StageError, match=r"for example rows-000000: unparsable, [^;]{160}; all in .*rejected\.jsonl"):
        rollout(tmp_path, rows=[long])


def test_tasks_rejected_for_a_retried_reason_are_taken_off_the_rejected_ones(tmp_path):
    path, said = tmp_path / "rejected.jsonl", []
    rows = [{"id": "a", "reason": "request_failed"}, {"id": "b", "reason": "no_answer"}]
    write_file(path, map(to_line, rows))
    reopen(path, frozenset(), said.append)
    assert list(read_jsonl(path)) == rows
    reopen(path, frozenset({"request_failed"}), said.append)
    assert list(read_jsonl(path)) == rows[1:] and said == ["1 tasks whose requests had no answer are tried again"]


def test_the_question_of_a_row_or_of_a_stored_trajectory():
    assert evaluation_question("f:1", {"question": "Why?"}) == "Why?"
    assert evaluation_question("f:1", {"task": {"question": "How?"}}) == "How?"
    with pytest.raises(InputError, match="f:2: no question, accepted: rows with a key 'question'"):
        evaluation_question("f:2", {"task": "Why?"})


def test_a_trace_that_repeats_an_evaluation_question_in_any_turn_is_dropped(tmp_path):
    traced(tmp_path, sums_row(2, 3), {**sums_row(4, 5), "messages": sums_row(4, 5)["messages"][3:]})
    (tmp_path / "test.jsonl").write_text(json.dumps({"question": "can you add"}))
    keys = ["teacher=traces", f"task.path={tmp_path}/log.jsonl", f"stage.decontaminate=[{tmp_path}/test.jsonl]"]
    result = run_stage(tmp_path / "r", *keys)
    assert result.counts["contaminated"] == 1 and ids(tmp_path / "r") == ["log-000001"]
