"""A model of a run is found by its folder or by the step of a checkpoint."""

from pathlib import Path

import pytest

from mentor.errors import InputError
from mentor.runs.base_model import checked_model, usable_model
from mentor.runs.model_folders import as_checkpoint, is_made_in, model_name, stage_of
from tests.fixtures.run_folder import make_model_folder


def test_a_checkpoint_is_named_by_its_step_its_folder_or_the_model_in_it(tmp_path: Path):
    checkpoints = tmp_path / "rl-a-s0" / "checkpoints"
    whole = checkpoints / "step-00000020"
    make_model_folder(whole / "model")
    (whole / "meta.pt").touch()
    for name in ("20", "step-00000020", "step-00000020/model"):
        assert usable_model(str(checkpoints / name), "model.path") == whole
        assert stage_of(checkpoints / name) == tmp_path / "rl-a-s0"
        assert model_name(checkpoints / name) == "rl-a-s0-step-20"
        assert checked_model(checkpoints / name, "init") == whole / "model", "which a training stage starts from"
        assert is_made_in(checkpoints / name, tmp_path) is False
    (tmp_path / "rl-a-s0" / "config.yaml").touch()
    assert is_made_in(whole, tmp_path) and not is_made_in(whole, tmp_path / "other")
    (whole / "model" / "config.json").unlink()
    with pytest.raises(InputError, match="`init=x` is a checkpoint: `mentor stage=push model.path=.* makes a model of"):
        checked_model(checkpoints / "20", "init=x")
    with pytest.raises(InputError, match=r"`model.path=.*/checkpoints/30` is no checkpoint; there are: .*/20$"):
        usable_model(str(checkpoints / "30"), "model.path")


def test_other_folders_and_hub_names_are_models(tmp_path: Path):
    model = make_model_folder(tmp_path / "rl-strict-s0" / "model")
    assert as_checkpoint(model) is None and as_checkpoint(tmp_path / "20") is None
    assert usable_model(str(model), "model.path") == model and stage_of(model) == model.parent
    assert usable_model("Qwen/Qwen3-0.6B", "model.path") == "Qwen/Qwen3-0.6B"
    assert model_name(model) == "rl-strict-s0"
    assert model_name(tmp_path / "qwen") == "qwen" and model_name("Qwen/Qwen3-0.6B") == "Qwen--Qwen3-0.6B"
