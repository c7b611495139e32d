"""How one call ended, whatever ran it."""

from __future__ import annotations

from dataclasses import dataclass

from mentor.types import CallError


@dataclass(frozen=True)
class Outcome:
    """`error` is None for a result; `text` is the result, or what went wrong."""

    error: CallError | None
    text: str
    seconds: float = 0.0

    @property
    def clean(self) -> bool:
        """Whether the sandbox is sound after it: a limit stops code anywhere and leaves its heap in doubt."""
        return self.error in (None, CallError.EXCEPTION)
