"""Leaving the block closes, with and without an error."""

import pytest

from mentor.closing import Closing


class Counter(Closing):
    closed = 0

    def close(self) -> None:
        self.closed += 1


def test_leaving_the_block_closes():
    with Counter() as counter:
        assert counter.closed == 0
    assert counter.closed == 1


def test_an_error_closes_and_is_raised():
    counter = Counter()
    with pytest.raises(ValueError, match="no such thing"), counter:
        raise ValueError("no such thing")
    assert counter.closed == 1
