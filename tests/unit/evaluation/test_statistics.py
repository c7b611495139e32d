"""Intervals and similarities, by hand."""

import math

import pytest

from mentor.evaluation.statistics import Z_95, pass_at_k, tool_similarity, wilson_interval


def test_wilson_interval():
    # 50 of 100: centre 0.5, half width z sqrt(0.25/100 + z^2/40000) / (1 + z^2/100)
    assert wilson_interval(50, 100) == pytest.approx((0.40383, 0.59617), abs=1e-5)
    assert wilson_interval(0, 10) == pytest.approx((0.0, 0.27753), abs=1e-5)
    assert wilson_interval(0, 0) == (0.0, 1.0)


@pytest.mark.parametrize("n", [30, 100, 164, 300, 1319])
def test_wilson_interval_of_fractional_successes_encloses_the_share(n: int):
    for share in (0.0, 1e-9, 1 / 3, 0.5, 1 - 1e-9, 1.0):
        low, high = wilson_interval(share * n, n)
        assert 0.0 <= low <= share * n / n <= high <= 1.0


def test_wilson_interval_encloses_none_right_and_all_right_of_every_size():
    for n in range(1, 1501):
        (low_of_none, high_of_none), (low_of_all, high_of_all) = wilson_interval(0, n), wilson_interval(n, n)
        assert low_of_none == 0.0 < high_of_none, n
        assert low_of_all < 1.0 == high_of_all, n
        assert 1 - low_of_all == pytest.approx(high_of_none)  # mirrored


def test_wilson_interval_between_the_ends_is_the_formula_bit_for_bit():
    def formula(successes: int, n: int) -> tuple[float, float]:
        share = successes / n
        denominator = 1 + Z_95**2 / n
        centre = (share + Z_95**2 / (2 * n)) / denominator
        half = Z_95 / denominator * math.sqrt(share * (1 - share) / n + Z_95**2 / (4 * n * n))
        return centre - half, centre + half

    for n in (2, 10, 30, 100, 164, 300, 1319):
        for successes in range(1, n):
            assert wilson_interval(successes, n) == formula(successes, n)


def test_pass_at_k_by_hand():
    # 5 samples, 2 right: 1 - C(3, k) / C(5, k)
    assert [pass_at_k(5, 2, k) for k in (1, 2, 3, 4, 5)] == pytest.approx([0.4, 1 - 3 / 10, 1 - 1 / 10, 1.0, 1.0])
    assert pass_at_k(4, 0, 4) == 0.0 and pass_at_k(4, 4, 1) == 1.0
    assert pass_at_k(200, 1, 100) == pytest.approx(0.5)


def test_tool_similarity():
    assert tool_similarity({"add": 3}, {"add": 7}) == pytest.approx(1.0)
    assert tool_similarity({"add": 1}, {"divide": 1}) == pytest.approx(0.0)
    # halves against all: JSD = 1/2 (0.5 log2(0.5/0.75) + 0.5 log2(0.5/0.25)) + 1/2 log2(1/0.75)
    expected = 0.5 * (0.5 * math.log2(2 / 3) + 0.5) + 0.5 * math.log2(4 / 3)
    assert tool_similarity({"add": 1, "divide": 1}, {"add": 5}) == pytest.approx(1 - expected)
    assert tool_similarity({}, {"add": 1}) is None
