"""Slots of unequal length: what is written where, and what a forward sees."""

import torch

from mentor.sampling.kv_cache import GROW, KVCache, KVCacheLayer


def states(*values: float) -> torch.Tensor:
    """(B, 1 head, 1 token, width 1)."""
    return torch.tensor(values).reshape(-1, 1, 1, 1)


def aim(layer: KVCacheLayer, rows: int | list[int], positions: list[list[int]], width: int) -> None:
    layer.rows = rows if isinstance(rows, int) else torch.tensor(rows)
    layer.positions, layer.width = torch.tensor(positions), width


def test_slots_are_written_at_their_own_positions_and_grow_together():
    layer = KVCacheLayer(3)
    aim(layer, [2, 0], [[0], [1]], 2)  # slot 2 at position 0, slot 0 at position 1
    keys, values = layer.update(states(5.0, 7.0), states(50.0, 70.0))
    assert keys[:, 0, :, 0].tolist() == [[5.0, 0.0], [0.0, 7.0]]
    assert values[:, 0, :, 0].tolist() == [[50.0, 0.0], [0.0, 70.0]]
    assert layer.keys.shape == (3, 1, GROW, 1) and layer.get_seq_length() == 2 and layer.get_mask_sizes(1) == (2, 0)
    aim(layer, 2, [[2], [0]], GROW + 1)  # the first two slots, as views
    keys, _ = layer.update(states(8.0, 9.0), states(80.0, 90.0))
    assert keys[0, 0, :3, 0].tolist() == [0.0, 7.0, 8.0] and keys[1, 0, :3, 0].tolist() == [9.0, 0.0, 0.0]
    assert layer.keys.shape == (3, 1, 2 * GROW, 1) and keys.data_ptr() == layer.keys.data_ptr()


def test_a_slot_is_copied_and_swapped_up_to_a_length():
    cache = KVCache(layers=2, slots=2)
    cache.aim(2, torch.tensor([[0, 1], [0, 1]]), 2)
    both = torch.tensor([[[[1.0], [2.0]]], [[[3.0], [4.0]]]])
    for index in range(2):
        cache.update(both * (index + 1), both * (index + 1), index)
    cache.swap_rows(0, 1, 1)
    assert [layer.keys[:, 0, :2, 0].tolist() for layer in cache.rows_of] == [
        [[3.0, 2.0], [1.0, 4.0]],
        [[6.0, 4.0], [2.0, 8.0]],
    ]
    cache.copy_row(0, 1, 2)
    assert cache.rows_of[1].values[:, 0, :2, 0].tolist() == [[6.0, 4.0], [6.0, 4.0]]
