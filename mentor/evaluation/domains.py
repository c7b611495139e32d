"""Whether a split is in the domain of the tasks that a run trains on, as far as that is known."""

from __future__ import annotations

from mentor.config import TaskConfig

IN, OUT, UNKNOWN = "id", "ood", "unknown"
LONG_CALCULATOR = "calculator_long"
NAMED_BY_LOADER = ("calculator", "gsm8k")  # the others hold what their file holds


def data_set(task: TaskConfig) -> str | None:
    """Name the data set of the tasks: `task.data_set`, else their generator or benchmark; None if unknown.

    The calculator's split `train_long` is a data set of its own: after training on it, `long` is in domain.
    """
    if task.data_set is None and (task.name, task.split) == ("calculator", "train_long"):
        return LONG_CALCULATOR
    return task.data_set or (task.name if task.name in NAMED_BY_LOADER else None)


def domain(said: str, trained_on: str | None) -> str:
    """Resolve an entry of `benchmark.<name>.splits` to id, ood or unknown, given the data set trained on, if known."""
    if not said.startswith(f"{IN}:"):
        return said
    if trained_on is None:
        return UNKNOWN
    return IN if trained_on in said.removeprefix(f"{IN}:").split("+") else OUT
