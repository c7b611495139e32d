"""What a stage needs is looked for before it starts, and identified by its content."""

from pathlib import Path

import pytest

from mentor.config import Config, ModelConfig, RolloutStage, SftStage, TaskConfig
from mentor.errors import RunFolderError
from mentor.runs.evaluations import fingerprint
from mentor.runs.folder import RunFolder
from mentor.runs.identity import content_hashes
from mentor.runs.preflight import preflight
from tests.fixtures.run_folder import write_stage

SFT = Config(stage=SftStage("sft"), model=ModelConfig("tiny"))


def test_training_needs_a_finished_rollout_and_a_base(tmp_path: Path):
    folder = RunFolder(tmp_path / "sft-s0", tmp_path)
    with pytest.raises(RunFolderError, match="run `mentor stage=rollout` first"):
        preflight(SFT, folder)
    (tmp_path / "rollout").mkdir()
    (tmp_path / "rollout" / "trajectories.jsonl").write_text("")
    with pytest.raises(RunFolderError, match=r"is not finished \(without summary.json\)"):
        preflight(SFT, folder)
    write_stage(tmp_path, "rollout", "rollout", status="running")
    with pytest.raises(RunFolderError, match=r"is not finished \(running\): .* it resumes"):
        preflight(SFT, folder)
    write_stage(tmp_path, "rollout", "rollout")
    with pytest.raises(RunFolderError, match="run `mentor stage=pretrain` first"):
        preflight(SFT, folder)
    base = tmp_path / "pretrain-s0" / "model"
    base.mkdir(parents=True)
    for name in ("config.json", "tokenizer.json"):
        (base / name).write_text("{}")
    (base / "model.safetensors").write_bytes(b"weights")
    assert preflight(SFT, folder) == {"rollout": "hash-rollout", "base": fingerprint(base)}


def test_the_users_files_are_identified_by_content(tmp_path: Path):
    rows, other = tmp_path / "rows.jsonl", tmp_path / "other.jsonl"
    rows.write_text("{}\n")
    other.write_text("{}\n")
    stage = RolloutStage("rollout", decontaminate=[str(other)])
    config = Config(stage=stage, task=TaskConfig("jsonl", path=str(rows)))
    found = preflight(config, RunFolder(tmp_path / "rollout", tmp_path))
    same = content_hashes(file=str(rows))["file"]
    assert found == {"task_file": same, f"decontaminate {other}": same}
    rows.write_text("{}\n{}\n")
    assert preflight(config, RunFolder(tmp_path / "rollout", tmp_path))["task_file"] != same
