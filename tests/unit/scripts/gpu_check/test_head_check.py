"""The check of the LM head passes for the one that is used, and shows one whose logits are rounded."""

import torch

from scripts.gpu_check import head_check
from scripts.gpu_check.head_check import compare, make_inputs


def figures(dtype):
    found = []
    compare(make_inputs(300, 64, 40, dtype), dtype, found.append)
    return {figure.name.partition(": ")[2]: figure for figure in found}


def test_the_head_is_within_its_limits_in_both_types():
    for dtype in (torch.float32, torch.bfloat16):
        assert len(figures(dtype)) == 4 and all(figure.ok for figure in figures(dtype).values())


def test_rounded_logits_show(monkeypatch):
    def rounded(hidden, weight, targets, dtype):
        logs = torch.log_softmax((hidden.bfloat16() @ weight.bfloat16().T).float(), -1)
        return logs.gather(1, targets[:, None])[:, 0], -(logs.exp() * logs).sum(-1)

    monkeypatch.setattr(head_check, "token_logprobs", rounded)
    assert not figures(torch.bfloat16)["logprobs, largest difference"].ok
