"""The turns that were given to clients, as they were sampled: a client sends them back as text.

A turn that is rendered again may be spelled with other tokens than the student's, and without its thinking.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence
from typing import Any


class SaidTurns:
    """Turns with calls, found by the id of their first call. limit: of how many are kept, the latest."""

    def __init__(self, limit: int = 4096) -> None:
        self._limit = limit
        self._turns: OrderedDict[str, tuple[Any, list[int]]] = OrderedDict()

    def keep(self, turn: dict[str, Any], token_ids: Sequence[int]) -> None:
        """Keep a turn. turn: with its calls, their arguments as objects, and the ids that the client was given."""
        self._turns[turn["tool_calls"][0]["id"]] = (_said(turn), list(token_ids))
        if len(self._turns) > self._limit:
            self._turns.popitem(last=False)

    def recall(self, turn: dict[str, Any]) -> list[int] | None:
        """Return the ids of a turn as it was sampled; None for one that is not kept, or that says another thing now."""
        calls = turn.get("tool_calls") or ()
        kept = self._turns.get(calls[0]["id"]) if calls else None
        return kept[1] if kept is not None and kept[0] == _said(turn) else None


def _said(turn: dict[str, Any]) -> Any:
    """What a client keeps of a turn: most leave its thinking out."""
    return turn["content"] or "", [call["function"] for call in turn["tool_calls"]]
