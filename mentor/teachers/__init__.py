"""Teachers: each solves tasks with real tool execution, or says why not.

`build_teacher` builds the two that execute known answers. `mentor.stages.teaching` builds any from its settings.
"""

from collections.abc import Callable

from mentor.errors import ConfigError
from mentor.teachers.annotated import Annotated
from mentor.teachers.base import TaskTeacher, Teacher
from mentor.teachers.oracle import Oracle
from mentor.teachers.outcomes import Rejection

__all__ = ["Rejection", "TaskTeacher", "Teacher", "build_teacher"]

WORKED: dict[str, Callable[[float, int], TaskTeacher]] = {
    "oracle": Oracle,
    "annotated": lambda alternative_share, seed: Annotated(),
}


def build_teacher(name: str, alternative_share: float = 0.0, seed: int = 0) -> TaskTeacher:
    """Build `oracle` or `annotated`; `alternative_share` and `seed` are the oracle's. Raises ConfigError."""
    if name not in WORKED:
        raise ConfigError(f"teacher.name={name}: no such teacher, accepted: {', '.join(WORKED)}")
    return WORKED[name](alternative_share, seed)
