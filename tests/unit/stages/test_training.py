"""A policy from its trainer's settings, and the model that training leaves."""

import json
import random
import sys

import pytest
import torch
from transformers import GenerationConfig

from mentor.chat.certificate import fingerprint
from mentor.config import DeepSpeedConfig, LoraConfig, ModelConfig, RlTrainer, SftTrainer, SupervisedTrainer
from mentor.errors import PolicyError
from mentor.policy import TorchEngine
from mentor.policy.ranks import Ranks
from mentor.runs import RunFolder
from mentor.stages.chat_format import load_chat, stored_certificate
from mentor.stages.training import build_policy, load_student, save_student, seed_everything
from tests.fixtures.installed import needs
from tests.fixtures.policies import make_batch

MODEL = ModelConfig("tiny")


@pytest.fixture
def base(student, chat, tmp_path):
    student.save_pretrained(tmp_path / "base")
    chat.tokenizer.save_pretrained(tmp_path / "base")
    return tmp_path / "base"


def test_seeds_fix_both_generators():
    drawn = []
    for _ in range(2):
        seed_everything(3)
        drawn.append((random.random(), torch.rand(1).item()))
    assert drawn[0] == drawn[1]


def test_a_student_is_loaded_as_its_trainer_wants_it(base):
    plain = load_student(base, MODEL, SftTrainer())
    assert all(p.requires_grad and p.dtype == torch.float32 for p in plain.parameters())
    frozen = load_student(base, MODEL, RlTrainer(lora=LoraConfig(rank=4)), frozen=True)
    assert not any(p.requires_grad for p in frozen.parameters()) and not any(
        ".lora_" in n for n, _ in frozen.named_parameters()
    )
    narrow = load_student(base, ModelConfig("tiny", dtype="bfloat16"), RlTrainer(deepspeed=DeepSpeedConfig(2)))
    assert {p.dtype for p in narrow.parameters()} == {torch.bfloat16}
    recomputing = load_student(base, MODEL, SftTrainer(gradient_checkpointing=True))
    assert recomputing.is_gradient_checkpointing


def test_adapters_are_added_where_the_trainer_asks_for_them(base):
    pytest.importorskip("peft")
    student = load_student(base, MODEL, RlTrainer(lora=LoraConfig(rank=4)))
    assert {".lora_" in name for name, p in student.named_parameters() if p.requires_grad} == {True}


def test_the_settings_reach_the_policy_and_a_frozen_model_needs_no_deepspeed(base, chat):
    trainer = SupervisedTrainer(learning_rate=0.25, micro_batch_tokens=99, packing=True, schedule="linear")
    policy = build_policy(load_student(base, MODEL, SftTrainer()), chat, MODEL, trainer, 10, temperature=0.5)
    assert isinstance(policy.engine, TorchEngine) and policy.engine.scorer.temperature == 0.5
    assert (policy.micro_batch_tokens, policy.packing) == (99, True)
    assert policy.settings.learning_rate == 0.25 and policy.settings.factor(5) == 0.5
    zero = RlTrainer(deepspeed=DeepSpeedConfig(2))
    reference = build_policy(load_student(base, MODEL, zero, frozen=True), chat, MODEL, zero, 0)
    assert isinstance(reference.engine, TorchEngine)
    assert reference.logprobs(make_batch()).shape == make_batch().loss_mask.shape


def test_a_saved_student_loads_again(base, chat, tmp_path):
    policy = build_policy(load_student(base, MODEL, SftTrainer()), chat, MODEL, SupervisedTrainer(), 1)
    save_student(policy, chat, RunFolder(tmp_path / "sft-s0", tmp_path), Ranks())
    again = load_student(tmp_path / "sft-s0" / "model", MODEL, SftTrainer())
    assert all(torch.equal(p, dict(policy.model.named_parameters())[name]) for name, p in again.named_parameters())


@needs("peft")
def test_a_student_with_adapters_is_saved_merged_and_apart(base, chat, tmp_path):
    trainer = SftTrainer(lora=LoraConfig(rank=4))
    policy = build_policy(load_student(base, MODEL, trainer), chat, MODEL, trainer, 1)
    save_student(policy, chat, RunFolder(tmp_path / "sft-s0", tmp_path), Ranks())
    assert sorted(path.name for path in (tmp_path / "sft-s0").iterdir()) == ["adapter", "model"]
    config = json.loads((tmp_path / "sft-s0" / "adapter" / "adapter_config.json").read_text())
    assert (config["r"], config["lora_alpha"], config["base_model_name_or_path"]) == (4, 32, str(base))


def test_a_base_in_four_bits_needs_bitsandbytes(base, monkeypatch):
    monkeypatch.setitem(sys.modules, "bitsandbytes", None)
    trainer = SftTrainer(lora=LoraConfig(rank=4, quantize="nf4"))
    with pytest.raises(PolicyError, match=r"quantize=nf4 needs bitsandbytes: pip install 'mentor\[qlora\]'"):
        load_student(base, MODEL, trainer)


@pytest.mark.parametrize("files", [None, "<|endoftext|>", "<|im_start|><|endoftext|><|im_end|>"])
def test_the_files_of_a_saved_student_name_all_that_ended_its_turns(base, chat, tmp_path, files):
    if files is not None:
        (base / "generation_config.json").write_text(json.dumps({"eos_token_id": chat.encode(files)}))
    trained = load_chat(base, MODEL)
    policy = build_policy(load_student(base, MODEL, SftTrainer()), trained, MODEL, SupervisedTrainer(), 1)
    save_student(policy, trained, RunFolder(tmp_path / "sft-s0", tmp_path), Ranks())
    saved = tmp_path / "sft-s0" / "model"
    ends = GenerationConfig.from_pretrained(saved).eos_token_id
    expected = {"<|im_end|>", *(chat.decode([token]) for token in chat.encode(files or ""))}
    assert set(stored_certificate(saved).ends) == expected and stored_certificate(saved).ends[0] == "<|im_end|>"
    assert ends == (chat.eos_id if files is None else list(trained.end_ids))
    assert fingerprint(load_chat(saved, MODEL)) == fingerprint(trained), "it is used as it was trained"
