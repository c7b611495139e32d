"""Checksums agree on equal weights however they are fused, ordered or padded."""

import torch

from mentor.sampling.checksum import Checksums, bit_sum, differing, part_of, wrapped


def test_a_sum_of_bits_is_that_of_its_pieces_in_any_order():
    torch.manual_seed(0)
    whole = torch.randn(6, 4)
    sums = [Checksums(torch.float32) for _ in range(2)]
    for name, piece in zip("qkv", whole.split(2), strict=True):
        sums[0].add(f"layer.{name}_proj.weight", piece)
    fused = torch.cat([whole.flip(0).t(), torch.zeros(4, 3)], dim=1)  # other order, and padding
    sums[1].add("layer.qkv_proj.weight", fused)
    assert sums[0].parts() == sums[1].parts() and sums[0].parts().keys() == {"layer"}


def test_a_sum_of_bits_by_hand():
    """1.0 is 0x3f800000 in float32 and 0x3f80 in bfloat16; -0.0 counts as zero."""
    mix = 0x2545F491
    assert bit_sum(torch.tensor([1.0, 0.0, -0.0]), torch.float32) == 0x3F800000 * (0x3F800000 + mix)
    assert bit_sum(torch.tensor([1.0]), torch.bfloat16) == 0x3F80 * (0x3F80 + mix)
    assert bit_sum(torch.tensor([1.0]), torch.float32) != bit_sum(torch.tensor([-1.0]), torch.float32)
    assert bit_sum(torch.tensor([1.0, -2.0]), torch.float32) != bit_sum(torch.tensor([-1.0, 2.0]), torch.float32)


def test_parts_and_how_they_differ():
    assert part_of("model.layers.0.self_attn.q_proj.weight") == part_of("model.layers.0.self_attn.qkv_proj.weight")
    assert part_of("lm_head.weight") == "lm_head"
    assert differing({"a": 1, "b": 2}, {"a": 1, "b": 3}) == ["b"]
    assert differing({"a": 1}, {"a": 1, "b": 3}) == ["b"]
    assert differing({"a": 1, "b": 2}, {"x": 3}) == [] and differing({"a": 1}, {"x": 3}) == ["the whole model"]


def test_weights_are_passed_on_while_they_are_summed():
    weights = [("a.w.weight", torch.ones(2)), ("a.v.weight", torch.ones(1)), ("b.w.weight", torch.zeros(3))]
    sums = Checksums(torch.float32)
    assert [name for name, _ in sums.over(weights)] == ["a.w.weight", "a.v.weight", "b.w.weight"]
    one = 0x3F800000 * (0x3F800000 + 0x2545F491)
    assert sums.parts() == {"a": wrapped(3 * one), "b": 0}


def test_sums_wrap_round_at_64_bits():
    assert wrapped(2**63) == -(2**63) and wrapped(-(2**63) - 1) == 2**63 - 1 and wrapped(5 - 2**64) == 5
