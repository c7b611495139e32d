"""Conversations of a few tokens, compared by hand. Ids 10 and 11 are the prompt, 20 and 21 a result."""

from dataclasses import replace

import pytest

from mentor.evaluation.conversations import Said, compare_said, unlike
from mentor.types import Tokens

MASK = [False, False, True, False, False, True]
TRAINED = Said(Tokens([10, 11, 1, 20, 21, 2], MASK, [0.0, 0.0, -0.5, 0.0, 0.0, -1.0]), ["95"])


def said(place: int, token: int, logprob: float | None = None, results: tuple[str, ...] = ("95",)) -> Said:
    """TRAINED with another token, and logprob, at a place."""
    ids, logprobs = list(TRAINED.tokens.token_ids), list(TRAINED.tokens.logprobs)
    ids[place] = token
    logprobs[place] = logprobs[place] if logprob is None else logprob
    return Said(Tokens(ids, list(MASK), logprobs), results)


def compare(other: Said, tolerance: float = 0.01):
    return compare_said(TRAINED, other, tolerance, lambda ids: " ".join(map(str, ids)))


def test_equal_conversations_and_the_gap_of_their_logprobs():
    assert compare(TRAINED) == (compared := compare(TRAINED)) and compared.difference is None and compared.gap == 0
    near = compare(said(5, 2, -1.005))
    assert near.difference is None and near.gap == pytest.approx(0.005)
    assert compare(said(5, 2, -1.5)).difference == "logprobs differ by up to 0.5, more than 0.01"


@pytest.mark.parametrize(
    ("other", "expected"),
    [
        (said(1, 12), "the prompt differs from token 1 on: '10 12 1 20 21 2', in training '10 11 1 20 21 2'"),
        (said(3, 22, results=("95.0",)), "result 1 is '95.0', in training '95'"),
        (said(3, 22), "the conversation differs from token 3 on: '10 11 1 22 21 2', in training '10 11 1 20 21 2'"),
        (
            said(5, 3, -1.2),
            "the conversation differs from token 5 on: '10 11 1 20 21 3', in training '10 11 1 20 21 2'",
        ),
    ],
)
def test_the_first_difference_is_named(other, expected):
    assert compare(other).difference == expected


def test_another_token_that_is_as_likely_is_a_tie():
    tied = compare(said(5, 3, -1.005))
    assert tied.tied and tied.difference is None


def test_a_shorter_conversation_differs():
    cut = Tokens(*(list(part[:5]) for part in (TRAINED.tokens.token_ids, MASK, TRAINED.tokens.logprobs)))
    assert "differs from token 5 on" in str(compare(replace(TRAINED, tokens=cut)).difference)


def test_long_texts_are_shown_from_before_their_difference():
    text = "x" * 100
    assert unlike(text + "a", text + "b") == f"has {'x' * 15 + 'a'!r} at character 85, in training {'x' * 15 + 'b'!r}"
