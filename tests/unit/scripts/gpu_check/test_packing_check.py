"""Packed and padded updates agree in both types."""

from scripts.gpu_check.measuring import Size
from scripts.gpu_check.packing_check import check_packing


def test_packed_and_padded_agree():
    found = []
    check_packing(Size("tiny", 128, (32,), 1, 24), found.append)
    assert len(found) == 8 and all(figure.ok for figure in found)
    assert [figure.name for figure in found if figure.unit == "tokens/s"][:2] == [
        "float32: padded",
        "float32: packed by a mask",
    ]
