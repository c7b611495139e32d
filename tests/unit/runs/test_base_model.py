"""Which model a stage starts from, which models an evaluation takes, and what it says when they are not there."""

from pathlib import Path

import pytest

from mentor.config import Config, ModelConfig, RlStage, SftStage
from mentor.errors import InputError, RunFolderError
from mentor.runs.base_model import base_model, checked_model
from mentor.runs.folder import stage_folder
from tests.fixtures.run_folder import make_model_folder


def rl(seed: int = 0, init: str = "base", path: str | None = None) -> Config:
    return Config(stage=RlStage("rl"), seed=seed, init=init, model=ModelConfig("tiny", path))


def test_base_is_the_runs_own_of_this_seed_or_the_only_one(tmp_path: Path):
    with pytest.raises(RunFolderError, match="run `mentor stage=pretrain` first"):
        base_model(rl(), tmp_path)
    first = make_model_folder(tmp_path / "pretrain-s0" / "model")
    assert base_model(rl(seed=0), tmp_path) == first
    assert base_model(rl(seed=7), tmp_path) == first
    second = make_model_folder(tmp_path / "pretrain-s1" / "model")
    assert base_model(rl(seed=1), tmp_path) == second
    with pytest.raises(RunFolderError, match="init=<path>"):
        base_model(rl(seed=7), tmp_path)


def test_init_sft_or_a_folder_or_model_path(tmp_path: Path):
    with pytest.raises(RunFolderError, match="run `mentor stage=sft` first"):
        base_model(rl(init="sft"), tmp_path)
    sft = make_model_folder(tmp_path / "sft-s0" / "model")
    assert base_model(rl(init="sft"), tmp_path) == sft
    assert base_model(rl(init=str(sft)), tmp_path / "elsewhere") == sft
    assert base_model(rl(path=str(sft)), tmp_path / "elsewhere") == sft
    assert base_model(rl(path="Qwen/Qwen3-0.6B"), tmp_path) == "Qwen/Qwen3-0.6B"


def test_stages_go_on_from_a_model_of_the_run_by_its_name(tmp_path: Path):
    opd = make_model_folder(tmp_path / "rl-opd-s0" / "model")
    assert base_model(rl(init="opd"), tmp_path) == base_model(rl(seed=3, init="opd"), tmp_path) == opd
    assert base_model(rl(init="rl-opd-s0"), tmp_path) == opd
    other = make_model_folder(tmp_path / "rl-opd-s3" / "model")
    assert base_model(rl(seed=3, init="opd"), tmp_path) == other
    with pytest.raises(RunFolderError, match="no rl-opd model of seed 7 but several others: choose with init=<path>"):
        base_model(rl(seed=7, init="opd"), tmp_path)
    with pytest.raises(InputError, match=r"`init=odp` is not a folder.*or a model of .* \(rl-opd-s0, rl-opd-s3\)"):
        base_model(rl(init="odp"), tmp_path)


def test_sft_goes_on_from_sft_in_a_folder_of_its_own_name(tmp_path: Path):
    longer = make_model_folder(tmp_path / "sft-short-s0" / "model")
    assert base_model(rl(init="short"), tmp_path) == longer
    with pytest.raises(RunFolderError, match="run `mentor stage=sft` first"):  # `sft-short` is not `sft` of a seed
        base_model(rl(init="sft"), tmp_path)
    config = Config(stage=SftStage("sft"), init="sft", name="continued", seed=2)
    assert stage_folder(config) == "sft-continued-s2"
    sft = make_model_folder(tmp_path / "sft-s2" / "model")
    assert base_model(config, tmp_path) == sft


def test_unusable_folders_are_refused_with_what_they_lack(tmp_path: Path):
    model = make_model_folder(tmp_path / "sft-s0" / "model")
    with pytest.raises(InputError, match="is not a folder"):
        base_model(rl(init=str(tmp_path / "none")), tmp_path)
    with pytest.raises(InputError, match="did you mean .*sft-s0/model"):
        base_model(rl(init=str(model.parent)), tmp_path)
    (model / "tokenizer.json").unlink()
    with pytest.raises(InputError, match="has no tokenizer"):
        base_model(Config(stage=SftStage("sft"), init=str(model)), tmp_path)


@pytest.mark.parametrize("text", ["", "{", "[1]"])
def test_a_config_that_is_no_json_object_is_refused(tmp_path, text):
    (tmp_path / "tokenizer.json").write_text("{}")
    (tmp_path / "config.json").write_text(text)
    with pytest.raises(InputError, match="config.json that is no JSON object"):
        checked_model(tmp_path, "model.path=x")
