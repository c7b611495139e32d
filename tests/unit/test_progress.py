"""Beats and phases of this process."""

import pytest

from mentor import progress


def test_beats_count_up_and_a_phase_counts_its_two_ends():
    phase, beats = progress.position()
    progress.beat()
    assert progress.position() == (phase, beats + 1)
    with progress.phase("update"):
        assert progress.position() == ("update", beats + 2)
        with progress.phase("save"):
            assert progress.position() == ("save", beats + 3)
        assert progress.position() == ("update", beats + 4)
    assert progress.position() == (phase, beats + 5)


def test_the_phase_of_a_failure_stays(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(progress, "_now", progress._Position())
    with pytest.raises(ValueError), progress.phase("update"):
        raise ValueError
    assert progress.position() == ("update", 1)
