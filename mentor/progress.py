"""How far this process is: a phase and a count of steps forward, for whoever watches from outside.

Loops that should never stand still call `beat`; a process whose count stands still for too long is stalled.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

RENDEZVOUS = "MENTOR_RENDEZVOUS"  # environment variable: the folder in which the processes of a stage find each other


@dataclass
class _Position:
    phase: str = "start"
    beats: int = 0


_now = _Position()


def beat() -> None:
    """One step forward."""
    _now.beats += 1


@contextmanager
def phase(name: str) -> Iterator[None]:
    """What the process does until the block ends; entering and leaving are steps forward.

    After an exception the phase stays: it is where the process failed.
    """
    before, _now.phase = _now.phase, name
    beat()
    yield
    _now.phase = before
    beat()


def position() -> tuple[str, int]:
    """The phase and the number of beats so far."""
    return _now.phase, _now.beats
