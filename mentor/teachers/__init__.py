"""Teachers: each solves a task with real tool execution, or says why not.

`build_teacher` makes the two that need no model. Those behind an endpoint (`openai.py`) or in this process are opened
by the rollout stage.
"""

from mentor.errors import ConfigError
from mentor.teachers.annotated import Annotated
from mentor.teachers.base import CapReached, Rejection, Teacher
from mentor.teachers.oracle import Oracle

__all__ = ["CapReached", "Rejection", "Teacher", "build_teacher"]


def build_teacher(name: str, alternative_share: float = 0.0, seed: int = 0) -> Teacher:
    """`oracle` or `annotated`; `alternative_share` and `seed` are the oracle's. Raises ConfigError."""
    if name == "oracle":
        return Oracle(alternative_share, seed)
    if name == "annotated":
        return Annotated()
    raise ConfigError(f"teacher.name={name}: no such teacher, accepted: oracle, annotated")
