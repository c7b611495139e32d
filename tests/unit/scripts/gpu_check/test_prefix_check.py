"""Updates with shared prefixes and with rows apart agree in both types."""

from scripts.gpu_check.measuring import Size
from scripts.gpu_check.prefix_check import check_prefixes


def test_shared_prefixes_and_rows_apart_agree():
    found = []
    check_prefixes(Size("tiny", 256, (64,), 1, 24), found.append)
    assert len(found) == 8 and all(figure.ok for figure in found)
