"""Whether two ways of using a model gave the same conversation: token ids, what was shown to it, and logprobs."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from mentor.types import Tokens, Trajectory

SHOWN = 60  # characters of a text in a line


@dataclass(frozen=True)
class Said:
    """A greedy conversation. results: the texts that the model was shown of its calls."""

    tokens: Tokens
    results: Sequence[str]

    @classmethod
    def of(cls, trajectory: Trajectory) -> Said:
        assert trajectory.tokens is not None
        own = trajectory.messages[len(trajectory.task.prompt) :]
        return cls(trajectory.tokens, [message["content"] for message in own if message["role"] == "tool"])


@dataclass(frozen=True)
class Agreement:
    """difference: what is unlike, in words; None where nothing is. gap: the largest difference of logprobs.

    tied: other tokens were sampled from some place on, as likely as each other within the tolerance; what comes after
    is not compared.
    """

    difference: str | None = None
    gap: float = 0.0
    tied: bool = False


def compare_said(trained: Said, other: Said, tolerance: float, decode: Callable[[list[int]], str]) -> Agreement:
    """Compare a conversation with the one that training's settings gave, up to the first token that differs.

    tolerance: of natural logprobs, at places that both sampled. decode: token ids to text.
    """
    ours, theirs = trained.tokens, other.tokens
    end = _shared(ours.token_ids, theirs.token_ids)
    both = [a and b for a, b in zip(ours.loss_mask, theirs.loss_mask, strict=False)]
    gaps = [abs(a - b) for a, b in zip(ours.logprobs, theirs.logprobs, strict=False)]
    gap = max((gap for gap, sampled in zip(gaps[:end], both, strict=False) if sampled), default=0.0)
    if gap > tolerance:
        return Agreement(f"logprobs differ by up to {gap:.2g}, more than {tolerance:g}", gap)
    if end == len(ours) == len(theirs):
        return Agreement(gap=gap)
    if end < len(both) and both[end] and gaps[end] <= tolerance:
        return Agreement(gap=gap, tied=True)
    for number, (result, shown) in enumerate(zip(trained.results, other.results, strict=False), 1):
        if result != shown:
            return Agreement(f"result {number} {unlike(shown, result)}", gap)
    where = "the prompt" if True not in ours.loss_mask[: end + 1] else "the conversation"
    texts = (decode(tokens.token_ids[max(0, end - 8) : end + 24]) for tokens in (theirs, ours))
    return Agreement(f"{where} differs from token {end} on: {next(texts)!r}, in training {next(texts)!r}", gap)


def unlike(shown: str, trained: str) -> str:
    """Say how a text differs from training's: both whole, or from a little before the place where they differ."""
    if max(len(shown), len(trained)) <= SHOWN:
        return f"is {shown!r}, in training {trained!r}"
    start = max(0, _shared(shown, trained) - SHOWN // 4)
    return f"has {shown[start : start + SHOWN]!r} at character {start}, in training {trained[start : start + SHOWN]!r}"


def _shared(first: Sequence[object], second: Sequence[object]) -> int:
    """How long the common beginning of two sequences is."""
    pairs = zip(first, second, strict=False)
    return next((place for place, (a, b) in enumerate(pairs) if a != b), min(len(first), len(second)))
