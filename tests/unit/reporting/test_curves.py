"""The band of a method's learning curves."""

from mentor.reporting.figures.curves import bands
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
