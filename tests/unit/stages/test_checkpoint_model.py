"""A checkpoint becomes the model that its stage would have written at that step."""

from dataclasses import replace
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from mentor.config import Config, DeepSpeedConfig, LoraConfig, ModelConfig, SftStage, SftTrainer, dump
from mentor.errors import RunFolderError
from mentor.policy.checkpoint import save_checkpoint
from mentor.policy.ranks import Ranks
from mentor.policy.supervised import supervised_loss
from mentor.runs import RunFolder
from mentor.runs.folder import write_config
from mentor.stages.chat_format import load_chat
from mentor.stages.checkpoint_model import loadable
from mentor.stages.training import build_policy, load_student, save_student
from tests.fixtures.installed import needs
from tests.fixtures.policies import make_batch

MODEL = ModelConfig("tiny")


def trained(student_folder: Path, stage: Path, trainer: SftTrainer) -> RunFolder:
    """An SFT stage of two steps, with a checkpoint after each and the model of the second."""
    stage.mkdir()
    base = replace(MODEL, path=str(student_folder))
    write_config(stage, dump(Config(SftStage("sft"), model=base, trainer=trainer)))
    chat, folder = load_chat(student_folder, MODEL), RunFolder(stage, stage.parent)
    policy = build_policy(load_student(student_folder, MODEL, trainer), chat, MODEL, trainer, 2)
    for step in (1, 2):
        policy.update(make_batch(), supervised_loss)
        save_checkpoint(stage / "checkpoints", step, policy.save_state)
    save_student(policy, chat, folder, Ranks())
    return folder


def weights(folder: Path, name: str = "model.safetensors") -> dict[str, torch.Tensor]:
    return load_file(folder / name)


@pytest.mark.parametrize(
    "lora",
    [
        LoraConfig(),
        pytest.param(LoraConfig(4), marks=needs("peft")),
        pytest.param(LoraConfig(4, quantize="nf4"), marks=[needs("peft"), needs("bitsandbytes")]),
    ],
)
def test_a_checkpoint_is_the_model_of_its_step(student_folder: Path, tmp_path: Path, lora: LoraConfig):
    folder = trained(student_folder, tmp_path / "sft-s0", SftTrainer(learning_rate=0.01, lora=lora))
    random = torch.get_rng_state()
    first, last = (loadable(folder.path / "checkpoints" / str(step)) for step in (1, 2))
    assert torch.equal(random, torch.get_rng_state()), "the random numbers of who asks go on"
    assert last == folder.path / "checkpoints" / "step-00000002" / "model"
    end = weights(folder.path / "model")
    names = sorted(path.name for path in (folder.path / "model").iterdir())
    assert sorted([*names, "README.md"]) == sorted(path.name for path in last.iterdir())
    assert "after step 2" in (last / "README.md").read_text()
    assert all(torch.equal(value, end[name]) for name, value in weights(last).items())
    assert not all(torch.equal(value, end[name]) for name, value in weights(first).items())
    if lora.rank:
        ours, file = weights(folder.path / "adapter", "adapter_model.safetensors"), last.parent / "adapter"
        assert all(torch.equal(value, ours[name]) for name, value in weights(file, "adapter_model.safetensors").items())
    written = (last / "model.safetensors").stat().st_mtime_ns
    assert loadable(last) == last and (last / "model.safetensors").stat().st_mtime_ns == written, "written once"


def test_a_checkpoint_under_deepspeed_is_in_the_type_that_was_trained(student_folder: Path, tmp_path: Path):
    folder = trained(student_folder, tmp_path / "sft-s0", SftTrainer(learning_rate=0.01))
    scaled = SftTrainer(deepspeed=DeepSpeedConfig(2))
    model = replace(MODEL, path=str(student_folder), dtype="bfloat16")
    write_config(folder.path, dump(Config(SftStage("sft"), model=model, trainer=scaled)))
    found, whole = weights(loadable(folder.path / "checkpoints" / "2")), weights(folder.path / "model")
    assert all(torch.equal(value, whole[name].bfloat16()) for name, value in found.items())


def test_a_student_made_from_scratch_has_the_tokenizer_of_its_stage(student_folder: Path, tmp_path: Path):
    folder = trained(student_folder, tmp_path / "sft-s0", SftTrainer())
    checkpoint = folder.path / "checkpoints" / "step-00000001"
    meta = torch.load(checkpoint / "meta.pt", weights_only=False)
    assert meta["base"] == str(student_folder)
    torch.save({**meta, "base": ""}, checkpoint / "meta.pt")
    assert loadable(checkpoint) == checkpoint / "model"
    torch.save({key: meta[key] for key in meta if key != "base"}, checkpoint.parent / "step-00000002" / "meta.pt")
    with pytest.raises(RunFolderError, match="does not say what it was trained from"):
        loadable(checkpoint.parent / "2")


def test_other_models_are_left_as_they_are(student_folder: Path):
    assert loadable(student_folder) == student_folder and loadable("Qwen/Qwen3-0.6B") == "Qwen/Qwen3-0.6B"
