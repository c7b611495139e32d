"""The process of one point: what it notes, what it leaves, and with which code it ends."""

from dataclasses import replace
from pathlib import Path

import pytest

from mentor.config import Config, ModelConfig, RolloutStage, SftStage, TaskConfig, dump
from mentor.errors import MentorError
from mentor.lock import FolderLock
from mentor.runs.folder import claim
from mentor.runs.launch import ChildFailed, ChildStopped
from mentor.sweeps import point
from mentor.sweeps.job import PointJob, PointResult
from mentor.sweeps.manifest import read_manifest
from tests.fixtures.run_folder import write_stage

NUMBER = {"name": "rollout/verified_share", "value": 0.75}
ROLLOUT = Config(stage=RolloutStage("rollout"), task=TaskConfig("calculator", size=5))


@pytest.fixture
def job(tmp_path: Path) -> PointJob:
    """A point whose stage is done already, but which no manifest knows."""
    found = PointJob("task.size=5", "0123", tmp_path / "sweeps" / "id", tmp_path, {"task.size": 5}, [ROLLOUT])
    claim(found.folder / "rollout", dump(ROLLOUT), overwrite=False)
    write_stage(found.folder, "rollout", "rollout", headline=NUMBER)
    return found


def test_a_done_point_is_noted_once_and_starts_nothing(job: PointJob):
    assert point.run_point(job) == PointResult(0, NUMBER, ran=False)
    noted = read_manifest(job.sweep_folder)["0123"]
    assert (noted.status, noted.headline, noted.overrides) == ("done", NUMBER, {"task.size": 5})
    assert point.run_point(job) == PointResult(0, NUMBER, ran=False)
    assert len((job.sweep_folder / "manifest.jsonl").read_text().splitlines()) == 1


def test_a_pipelines_point_reads_shared_stages_through_links(job: PointJob, tmp_path: Path):
    (tmp_path / "pretrain-s0").mkdir()
    assert point.run_point(replace(job, pipeline=True, shared=["pretrain-s0"])).headline == NUMBER
    assert (job.folder / "pretrain-s0").resolve() == tmp_path / "pretrain-s0"


def test_bad_input_is_noted_and_leaves_no_folder(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    sft = Config(stage=SftStage("sft"), model=ModelConfig("tiny"))
    job = PointJob("seed=1", "4567", tmp_path / "sweeps" / "id", tmp_path, {"seed": 1}, [sft])
    result = point.run_point(job)
    assert result.code == 2 and "run `mentor stage=rollout` first" in str(result.error)
    assert not job.folder.exists() and read_manifest(job.sweep_folder)["4567"].status == "failed"
    assert capsys.readouterr().err == f"mentor: {result.error}\n"


def test_a_point_that_another_process_holds_is_left_to_it(job: PointJob):
    with FolderLock(job.folder):
        result = point.run_point(job)
    assert result.code == 2 and "is in use by process" in str(result.error)
    assert not read_manifest(job.sweep_folder)


@pytest.mark.parametrize(
    ("error", "code", "said"),
    [
        (ChildFailed("stage=rl failed", 2), 2, ""),
        (ChildStopped(15), 143, ""),
        (MentorError("two\nlines"), 1, "mentor: two lines\n"),
        (ValueError("a bug"), 1, "ValueError: a bug\n"),
    ],
)
def test_only_what_no_child_has_said_is_said(
    error: BaseException, code: int, said: str, capsys: pytest.CaptureFixture[str]
):
    assert point._report(error) == code
    assert capsys.readouterr().err == said
