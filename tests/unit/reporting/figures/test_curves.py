"""Learning curves: the band of a method, and long curves as means of blocks."""

from mentor.reporting.figures.curves import MAX_POINTS, bands, thinned
from mentor.reporting.read.records import Curve


def test_a_band_covers_the_seeds_that_got_to_a_step() -> None:
    one = Curve("rl-x-s0", "m", [1, 2, 3], [1.0, None, 3.0])
    other = Curve("rl-x-s1", "m", [1, 2], [3.0, None])
    alone = Curve("sft-s0", "m", [1], [7.0])
    band, single = bands([one, alone, other], {"rl-x-s0", "rl-x-s1", "sft-s0"})
    assert (band.method, band.seeds) == ("rl-x", [one, other])
    assert band.mean.steps == [1, 2, 3] and band.mean.values == [2.0, None, 3.0]
    assert band.low.values == [1.0, None, 3.0] and band.high.values == [3.0, None, 3.0]
    assert (single.method, single.mean) == ("sft", alone)


def test_a_long_curve_is_drawn_as_means_of_blocks() -> None:
    steps = list(range(1, 2 * MAX_POINTS + 1))
    long = Curve("rl", "m", steps, [float(step) for step in steps])
    assert thinned(long)[0][:2] == [1.5, 3.5] and thinned(long)[1][:2] == [1.5, 3.5]
    assert len(thinned(long)[0]) == MAX_POINTS
    gap = Curve("rl", "m", [1, 2, 3], [1.0, None, 3.0])
    assert thinned(gap)[0] == [1, 2, 3] and str(thinned(gap)[1]) == "[1.0, nan, 3.0]"
