"""Logprobs and entropies of the trained tokens, of a padded batch and of a packed one, at a temperature."""

import pytest
import torch

from mentor.policy.packing import packed_parts
from mentor.policy.scorer import Scorer
from tests.fixtures.policies import make_batch


def expected(student, batch, temperature):
    logprobs, entropies = [], []
    for row in range(len(batch)):
        length = int(batch.lengths[row])
        logits = student(input_ids=batch.token_ids[row : row + 1, :length]).logits[0, :-1] / temperature
        logs = torch.log_softmax(logits, -1)
        trained = batch.loss_mask[row, 1:length]
        targets = batch.token_ids[row, 1:length]
        logprobs.append(logs.gather(1, targets[:, None])[:, 0][trained])
        entropies.append(-(logs.exp() * logs).sum(-1)[trained])
    return torch.cat(logprobs), torch.cat(entropies)


@pytest.mark.parametrize("into_grad", [False, True])
def test_trained_tokens_row_by_row_padded_and_packed(student, into_grad):
    batch, scorer = make_batch(), Scorer(student.eval(), 0.7, torch.float32, into_grad)
    logprobs, entropies = expected(student, batch, 0.7)
    found = scorer(batch.token_ids, batch.attention, batch.loss_mask)
    assert torch.allclose(found[0], logprobs, atol=1e-5) and torch.allclose(found[1], entropies, atol=1e-4)
    rows, packing = next(packed_parts(batch.lengths, 10_000))
    part = batch.take(rows)
    packed = scorer(part.token_ids, part.attention, part.loss_mask, packing)
    logprobs, entropies = expected(student, part, 0.7)
    assert torch.allclose(packed[0], logprobs, atol=1e-5) and torch.allclose(packed[1], entropies, atol=1e-4)


def test_both_ways_of_summing_a_gradient_agree(chat):
    from tests.fixtures.students import make_small_student

    gradients = []
    for into_grad in (False, True):
        student, batch = make_small_student(chat), make_batch()
        logprobs, *_ = Scorer(student, 1.0, torch.float32, into_grad)(batch.token_ids, batch.attention, batch.loss_mask)
        logprobs.sum().backward()
        gradients.append({name: p.grad for name, p in student.named_parameters()})
    for name, value in gradients[0].items():
        assert torch.allclose(value, gradients[1][name], rtol=1e-4, atol=1e-5), name
