"""What a rollout is asked for: one request per trajectory, within limits, with a seed for everything random."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import Any

from mentor.types import Task


@dataclass(frozen=True)
class RolloutLimits:
    """Bounds of one trajectory.

    max_tokens: of a turn together with all that it is sampled after (prompt, earlier turns, tool results); the last
    turn gets what is left. max_thinking_tokens: of a turn, after which its thinking, if it is still open, is closed for
    it; None leaves it to the turn's limit. max_invalid_turns: turns in a row whose calls are all invalid.
    max_result_tokens: of one tool result, a longer one is cut with a mark; None leaves it to the executor's limit.
    """

    max_turns: int = 8
    max_turn_tokens: int = 96
    max_tokens: int = 1024
    max_invalid_turns: int = 2
    max_result_tokens: int | None = None
    max_thinking_tokens: int | None = None


@dataclass(frozen=True)
class RolloutRequest:
    """One trajectory to produce; `seed` decides all of its sampling. temperature 0 is greedy.

    begun: turns after the task's question that stand already, each with the results of its calls, in the order of the
    calls. A turn's `token_ids`, where it has them, are how it was sampled; else it is rendered as a teacher's.
    one_turn: the next turn alone, whose calls are not run. max_turn_tokens: fewer than the limits' of that name.
    """

    task: Task
    seed: int
    group_id: str | None = None
    temperature: float = 1.0
    top_p: float = 1.0
    top_k: int | None = None
    begun: tuple[dict[str, Any], ...] = ()
    one_turn: bool = False
    max_turn_tokens: int | None = None


def derive_seed(*parts: int | str) -> int:
    """Derive a 63-bit seed from its parts, the same on every machine."""
    digest = hashlib.blake2b("/".join(map(str, parts)).encode(), digest_size=8).digest()
    return int.from_bytes(digest, "big") >> 1
