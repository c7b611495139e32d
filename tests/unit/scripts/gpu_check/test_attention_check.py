"""The check of masks and kernels: what is at hand is within its limits, and a mask that leaks shows."""

import torch

from scripts.gpu_check.attention_check import alone_in_float64, check_attention, compare, mixed_batch
from scripts.gpu_check.measuring import Figure, Remark, Size, make_model, shape_of

SIZE = Size("tiny", 256, (64,), 1, 24)


def test_every_attention_at_hand_is_tried_padded_packed_and_with_a_window():
    found = []
    check_attention(SIZE, found.append)
    figures = [entry for entry in found if isinstance(entry, Figure)]
    assert all(figure.ok for figure in figures)
    for name in ("sdpa, float32, padded", "sdpa, bfloat16, packed", "eager, window of 8, float32, packed"):
        assert sum(figure.name.startswith(name) for figure in figures) == 1, name
    if not torch.cuda.is_available():
        assert any("FlashAttention2" in entry.text for entry in found if isinstance(entry, Remark))


def test_a_mask_that_leaks_from_one_sequence_into_the_next_shows(monkeypatch):
    model = make_model(shape_of("tiny"), sharp=True, num_hidden_layers=2)
    batch = mixed_batch(model.config.vocab_size, 24)
    exact = alone_in_float64(model, batch)
    monkeypatch.setattr("transformers.masking_utils.find_packed_sequence_indices", lambda positions: None)
    monkeypatch.setattr("mentor.policy.scorer.keeps_sequences_apart", lambda model: True)
    found = []
    compare(model, batch, exact, "sdpa", found.append)
    assert [figure.ok for figure in found if "padded" in figure.name] == [True, True]
    assert [figure.ok for figure in found if "packed" in figure.name] == [False, False]
