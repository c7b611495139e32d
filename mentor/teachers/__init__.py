"""Teachers: each solves a task once with real tool execution, or says why not."""

from mentor.errors import ConfigError
from mentor.teachers.annotated import Annotated
from mentor.teachers.base import Rejection, Teacher
from mentor.teachers.oracle import Oracle

__all__ = ["Rejection", "Teacher", "build_teacher"]


def build_teacher(name: str, alternative_share: float = 0.0, seed: int = 0) -> Teacher:
    """`oracle` or `annotated`; `alternative_share` and `seed` are the oracle's. Raises ConfigError."""
    if name == "oracle":
        return Oracle(alternative_share, seed)
    if name == "annotated":
        return Annotated()
    raise ConfigError(f"teacher.name={name}: no such teacher, accepted: oracle, annotated")
