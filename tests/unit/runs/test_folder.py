"""Claiming a folder: new, resumed, refused, overwritten."""

from pathlib import Path

import pytest

from mentor.config import (
    Config,
    RewardConfig,
    RlStage,
    RlTrainer,
    RolloutStage,
    SftStage,
    TaskConfig,
    dump,
)
from mentor.errors import RunFolderError
from mentor.runs.folder import RunFolder, claim, settle, stage_folder, stored_config


def config(size: int = 5, **top: object) -> dict[str, object]:
    return dump(Config(stage=RolloutStage("rollout"), task=TaskConfig("calculator", size=size), **top))


def test_folder_names():
    assert stage_folder(Config(stage=RolloutStage("rollout"))) == "rollout"
    assert stage_folder(Config(stage=SftStage("sft"), seed=2)) == "sft-s2"
    rl = Config(stage=RlStage("rl"), reward=RewardConfig("strict"), trainer=RlTrainer())
    assert stage_folder(rl) == "rl-strict-s0"
    rl.name = "mine"
    assert stage_folder(rl) == "rl-mine-s0"


def test_claim_new_then_resumed_then_refused_then_overwritten(tmp_path: Path):
    folder = tmp_path / "rollout"
    assert claim(folder, config(), overwrite=False) is False
    (folder / "trajectories.jsonl").write_text("{}\n")
    assert claim(folder, config(), overwrite=False) is True
    assert claim(folder, config(run="other"), overwrite=False) is True  # where a run lies decides no result
    with pytest.raises(RunFolderError, match=r"seed: 0 -> 1; task\.size: 5 -> 6") as raised:
        claim(folder, config(size=6, seed=1), overwrite=False)
    assert all(way in str(raised.value) for way in ("give run=", "overwrite=true"))  # only rl takes name=
    assert (folder / "trajectories.jsonl").exists() and stored_config(folder) == config()


def test_a_folder_whose_first_file_was_never_finished_is_new_and_one_of_another_program_is_refused(tmp_path: Path):
    (tmp_path / ".config.yaml.123.partial").write_text("stage: {na")
    assert claim(tmp_path, config(), overwrite=False) is False
    assert [path.name for path in tmp_path.iterdir()] == ["config.yaml"]
    (tmp_path / "config.yaml").rename(tmp_path / "mine.yaml")
    with pytest.raises(RunFolderError, match=r"holds files but no config.yaml \(mine.yaml"):
        claim(tmp_path, config(), overwrite=False)


def test_an_overwrite_is_settled_by_what_comes_of_it(tmp_path: Path):
    folder = tmp_path / "rollout"
    claim(folder, config(), overwrite=False)
    (folder / "trajectories.jsonl").write_text("old\n")
    assert claim(folder, config(size=6), overwrite=True) is False
    (folder / "rejected.jsonl").write_text("new\n")
    settle(folder, restore=True)  # the new input was bad: nothing is lost
    assert stored_config(folder) == config() and (folder / "trajectories.jsonl").read_text() == "old\n"
    assert sorted(path.name for path in folder.iterdir()) == ["config.yaml", "trajectories.jsonl"]
    claim(folder, config(size=6), overwrite=True)
    settle(folder, restore=False)
    assert stored_config(folder) == config(size=6) and [path.name for path in folder.iterdir()] == ["config.yaml"]


def test_a_rollout_that_verified_nothing_is_cleared_for_another_config_but_for_paid_answers(tmp_path: Path):
    folder = tmp_path / "rollout"
    claim(folder, config(), overwrite=False)
    (folder / "trajectories.jsonl").touch()
    (folder / "rejected.jsonl").write_text("{}\n")
    (folder / "requests").mkdir()
    (folder / "requests" / "answers.jsonl").write_text("paid\n")
    assert claim(folder, config(), overwrite=False) is True, "the same config resumes"
    assert (folder / "rejected.jsonl").exists()
    assert claim(folder, config(size=6), overwrite=False) is False
    assert stored_config(folder) == config(size=6)
    assert sorted(path.name for path in folder.iterdir()) == ["config.yaml", "requests"]
    assert (folder / "requests" / "answers.jsonl").read_text() == "paid\n"
    sft = tmp_path / "sft-s0"
    claim(sft, dump(Config(stage=SftStage("sft"))), overwrite=False)
    with pytest.raises(RunFolderError):
        claim(sft, dump(Config(stage=SftStage("sft"), seed=1)), overwrite=False)


@pytest.mark.parametrize("overwrite", [False, True])
@pytest.mark.parametrize("file", ["thesis.txt", "config.yaml"])
def test_files_that_are_not_ours_are_left_alone(tmp_path: Path, overwrite: bool, file: str):
    (tmp_path / file).write_text("precious: true\n")
    with pytest.raises(RunFolderError, match="move"):
        claim(tmp_path, config(), overwrite)
    assert (tmp_path / file).read_text() == "precious: true\n"


def test_upstream_names_the_stage_that_makes_it(tmp_path: Path):
    folder = RunFolder(tmp_path / "sft-s0", tmp_path)
    with pytest.raises(RunFolderError, match="run `mentor stage=rollout` first"):
        folder.upstream("rollout/trajectories.jsonl", made_by="rollout")
    (tmp_path / "rollout").mkdir()
    assert folder.upstream("rollout", made_by="rollout") == tmp_path / "rollout"
