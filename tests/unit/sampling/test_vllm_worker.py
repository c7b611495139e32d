"""What runs in the worker of vLLM: weights loaded from an iterator or files, and checksums read back from layers."""

import pytest
import torch
from safetensors.torch import save_file

from mentor.sampling.checksum import Checksums, differing
from tests.fixtures.samplers import needs_vllm, open_pair
from tests.fixtures.students import make_wide_student

pytestmark = needs_vllm


@pytest.fixture(scope="module")
def opened(chat, tmp_path_factory):
    with open_pair("vllm", chat, tmp_path_factory.mktemp("student")) as pair:
        yield pair


def sums(weights) -> dict[str, int]:
    found = Checksums(torch.float32)
    for name, value in weights:
        found.add(name, value)
    return found.parts()


def call(pair, method: str, *args):
    with pair.sampler.engine_at_work() as engine:
        (found,) = engine.collective_rpc(method, args=args)
    return found


def test_the_layers_hold_the_values_that_were_loaded(chat, opened):
    other = make_wide_student(chat, seed=1)
    assert differing(call(opened, "mentor_checksums"), sums(opened.model.named_parameters())) == []
    call(opened, "mentor_load", iter(list(other.named_parameters())))
    held = call(opened, "mentor_checksums")
    assert differing(held, sums(other.named_parameters())) == []
    assert len(differing(held, sums(opened.model.named_parameters()))) > 4
    assert "lm_head" not in held  # it is the embedding


def test_weights_are_loaded_from_files_in_the_order_of_their_names(chat, opened, tmp_path):
    other = make_wide_student(chat, seed=2)
    weights = [(name, value.detach().clone()) for name, value in other.named_parameters()]
    save_file(dict(weights[:7]), tmp_path / "00000.safetensors")
    save_file(dict(weights[7:]), tmp_path / "00001.safetensors")
    call(opened, "mentor_load", str(tmp_path))
    assert differing(call(opened, "mentor_checksums"), sums(weights)) == []
