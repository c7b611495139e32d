"""The progress of this process, a phase and a count of beats, for the process that watches the ranks.

Loops call `beat`; a rank whose count does not change for too long is stalled.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

STORE = (
    "MENTOR_STORE"  # environment variable: the prefix of a stage's keys in the store where its ranks find each other
)
STORE_FD = "MENTOR_STORE_FD"  # of the rank that opens the store: the inherited socket on which it listens


@dataclass
class _Position:
    phase: str = "start"
    beats: int = 0


_now = _Position()


def beat() -> None:
    """Count one beat."""
    _now.beats += 1


@contextmanager
def phase(name: str) -> Iterator[None]:
    """Set the phase until the block ends; entering and leaving count as beats.

    After an exception the phase stays, as the place of the failure.
    """
    before, _now.phase = _now.phase, name
    beat()
    yield
    _now.phase = before
    beat()


def position() -> tuple[str, int]:
    """Return the phase and the number of beats so far."""
    return _now.phase, _now.beats
