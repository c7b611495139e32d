"""The workload and the device that the memory plan is made for."""

import json
from dataclasses import asdict, replace

import pytest
from hydra import compose

from mentor.compose import to_config
from mentor.config import Config
from mentor.errors import InputError
from mentor.planning import Device, make_plan
from mentor.stages import check_workload
from mentor.stages.check_base import shape_of_keys
from mentor.stages.check_workload import find_device, machine_gib, make_workload, planned_share, summary
from tests.fixtures.run_folder import make_model_folder


def config_of(*overrides: str) -> Config:
    return to_config(compose("config", overrides=["stage=check", *overrides]))


def test_the_device(hydra_conf: None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(check_workload, "machine_gib", lambda: 64.0)
    two = ["trainer.num_processes=2", "trainer/deepspeed=zero2"]
    assert find_device(config_of(*two)) == Device(32.0, is_gpu=False)
    assert find_device(config_of("launcher.device_memory_gib=24")) == Device(24.0)
    monkeypatch.setattr(check_workload, "gpu_gib", lambda: 79.1)
    assert find_device(config_of(*two)) == Device(79.1, host_gib=64.0)
    assert find_device(config_of("launcher.device_memory_gib=24")) == Device(24.0, host_gib=64.0)


def test_the_share_of_vllm_is_what_the_plan_leaves(hydra_conf: None, monkeypatch: pytest.MonkeyPatch) -> None:
    config = config_of("experiment=paper_1x80gb", "model=qwen3_1_7b")
    assert config.model is not None
    shape = shape_of_keys(config.model)
    assert planned_share(config, asdict(shape)) is None  # without a GPU
    monkeypatch.setattr(check_workload, "gpu_gib", lambda: 79.1)
    share = planned_share(config, asdict(shape))
    assert share is not None
    workload = make_workload(config, shape, Device(79.1))
    assert not make_plan(replace(workload, gpu_memory_share=share)).misfits
    assert make_plan(replace(workload, gpu_memory_share=share + 0.05)).misfits
    given = config_of("experiment=paper_1x80gb", "model=qwen3_1_7b", "sampler.gpu_memory_share=0.2")
    assert planned_share(given, asdict(shape)) == 0.2
    with pytest.raises(InputError, match="cannot be planned .*: set sampler.gpu_memory_share"):
        planned_share(config, {"vocab_size": 10})


def test_the_machines_own_memory_is_read() -> None:
    assert 0.5 < machine_gib() < 10_000


def test_the_workload_is_read_off_the_configuration(hydra_conf: None) -> None:
    keys = ["model.hidden_size=256", "trainer.num_processes=2", "trainer/deepspeed=zero2", "sampler.max_tokens=777"]
    config = config_of(*keys, "trainer.kl_coef=0.1")
    assert config.model is not None
    workload = make_workload(config, shape_of_keys(config.model), Device(8.0))
    assert (workload.shape.hidden_size, workload.num_processes, workload.zero_stage) == (256, 2, 2)
    assert (workload.max_tokens, workload.kl, workload.offload, workload.lora_rank) == (777, True, False, 0)
    assert workload.teacher is None
    assert summary(workload).startswith(f"training all parameters of {workload.shape.parameters:,} with ZeRO 2")


def test_a_teacher_in_this_process_is_planned_where_it_is_on_this_machine(hydra_conf: None, tmp_path) -> None:
    folder = make_model_folder(tmp_path / "big")
    values = {
        **{"model_type": "qwen3", "vocab_size": 640, "hidden_size": 256, "intermediate_size": 512},
        **{"num_hidden_layers": 2, "num_attention_heads": 4, "num_key_value_heads": 2, "head_dim": 64},
        **{"max_position_embeddings": 512, "tie_word_embeddings": True},
    }
    (folder / "config.json").write_text(json.dumps(values))
    keys = ["trainer/algorithm=opd", "distill.teacher.dtype=bfloat16", "distill.teacher.offload=true"]
    config = config_of(*keys, f"distill.teacher.path={folder}")
    workload = make_workload(config, shape_of_keys(config.model), Device(8.0))
    assert (workload.teacher.shape.hidden_size, workload.teacher.width, workload.teacher.offload) == (256, 2, True)
    assert f"teacher: {workload.teacher.shape.parameters:,} parameters" in summary(workload)
    elsewhere = config_of(*keys, "distill.teacher.path=owner/not-here")
    assert make_workload(elsewhere, shape_of_keys(config.model), Device(8.0)).teacher is None
