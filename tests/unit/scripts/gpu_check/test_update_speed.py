"""Updates are timed on every engine; MFU and the plan need a GPU."""

import pytest
import torch

from mentor.planning import ModelShape
from scripts.gpu_check.measuring import Remark, Size
from scripts.gpu_check.update_speed import flops_per_token, measure_updates, planned_peak


def test_flops_of_a_token():
    shape = ModelShape(1000, 8, 24, 2, 4, 2, 64, head_dim=4, tie_word_embeddings=True)
    linear = 2 * (2 * 8 * 16 + 2 * 8 * 8 + 3 * 8 * 24)
    assert flops_per_token(shape, 10) == 6 * (linear + 8000) + 12 * 2 * 16 * 10
    assert flops_per_token(shape, 10, adapters=True) == 4 * (linear + 8000) + 12 * 2 * 16 * 10


@pytest.mark.parametrize("engine", ["torch", "lora"])
def test_updates_are_timed_at_every_length(engine):
    if engine == "lora":
        pytest.importorskip("peft")
    found = []
    measure_updates(Size("tiny", 64, (16, 32), 1, 24), found.append, engine)
    speeds = [entry.name for entry in found if not isinstance(entry, Remark) and entry.unit == "tokens/s"]
    assert speeds == ["length 16: update", "length 32: update"]


@pytest.mark.gpu
@pytest.mark.parametrize("engine", ["torch", "deepspeed", "lora"])
def test_the_plan_is_near_what_a_gpu_needs(engine):
    found = []
    measure_updates(Size("qwen3_0_6b", 8192, (2048,), 1, 1024), found.append, engine)
    (ratio,) = [entry for entry in found if "planned over peak" in getattr(entry, "name", "")]
    assert ratio.ok, ratio


@pytest.mark.skipif(not torch.cuda.is_available(), reason="the plan is for a GPU's memory")
def test_adapters_are_planned_smaller():
    shape = ModelShape(1000, 64, 128, 2, 4, 2, 64, head_dim=16)
    assert planned_peak(shape, "lora", 64, 32) < planned_peak(shape, "torch", 64, 32)
