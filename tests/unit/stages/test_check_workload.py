"""The workload and the device that the memory plan is made for."""

import pytest
from hydra import compose

from mentor.compose import to_config
from mentor.config import Config
from mentor.planning import Device
from mentor.stages import check_workload
from mentor.stages.check_base import shape_of_keys
from mentor.stages.check_workload import find_device, machine_gib, make_workload, summary


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


def test_the_machines_own_memory_is_read() -> None:
    assert 0.5 < machine_gib() < 10_000


def test_the_workload_is_read_off_the_configuration(hydra_conf: None) -> None:
    keys = ["model.hidden_size=256", "trainer.num_processes=2", "trainer/deepspeed=zero2", "sampler.max_tokens=777"]
    config = config_of(*keys, "trainer.kl_coef=0.1")
    assert config.model is not None
    workload = make_workload(config, shape_of_keys(config.model), Device(8.0))
    assert (workload.shape.hidden_size, workload.num_processes, workload.zero_stage) == (256, 2, 2)
    assert (workload.max_tokens, workload.kl, workload.offload, workload.lora_rank) == (777, True, False, 0)
    assert summary(workload).startswith(f"training all parameters of {workload.shape.parameters:,} with ZeRO 2")
