"""The check of the embedded sampler, and a sampler whose logprobs are another model's."""

import torch

from mentor.sampling import build_sampler
from scripts.gpu_check.measuring import Size, make_model, shape_of, torch_policy
from scripts.gpu_check.sampler_check import check_sampler, compare

SIZE = Size("tiny", 256, (64,), 1, 24)


def test_sampler_and_policy_agree():
    found = []
    check_sampler(SIZE, found.append)
    assert len(found) == 8 and all(figure.ok for figure in found)
    assert all(figure.value > 0 for figure in found if figure.unit == "tokens/s")


def test_another_models_logprobs_show():
    model = make_model(shape_of("tiny"), sharp=True)
    sampler = build_sampler("transformers", model, (), 16, torch.float32, 24)
    other = make_model(shape_of("tiny"), sharp=True)
    with torch.no_grad():
        other.model.layers[0].mlp.down_proj.weight.mul_(5)
    found = []
    compare(torch_policy(other, torch.float32, 256), sampler, model.config.vocab_size, 24, "float32", found.append)
    assert not found[0].ok
