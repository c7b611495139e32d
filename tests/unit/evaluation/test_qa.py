"""Exact match and token F1 by hand."""

import pytest

from mentor.evaluation.qa import exact_match, normalize_answer, token_f1


@pytest.mark.parametrize(
    ("text", "normal"),
    [
        ("The  Beatles!", "beatles"),
        ("an apple a day", "apple day"),
        ("U.S.A.", "usa"),
        ("Jay-Z's", "jayzs"),
        ("theatre", "theatre"),
        ("the", ""),
        ("1,234", "1234"),
    ],
)
def test_normalised_answers(text: str, normal: str):
    assert normalize_answer(text) == normal


@pytest.mark.parametrize(
    ("prediction", "accepted", "em", "f1"),
    [
        ("James Madison", "james madison", 1.0, 1.0),
        ("President James Madison", "James Madison", 0.0, 0.8),  # precision 2/3, recall 1
        ("Madison Madison", "James Madison", 0.0, 0.5),  # one word in common, not two
        ("the river Thames in London", "Thames", 0.0, 0.4),  # 4 words without the article: 2 * 1 / (4 + 1)
        ("yes", "yes", 1.0, 1.0),
        ("yes it is", "yes", 0.0, 0.0),
        ("no", "no way", 0.0, 0.0),
        ("", "Lima", 0.0, 0.0),
        ("the", "a", 1.0, 0.0),
    ],
)
def test_exact_match_and_f1(prediction: str, accepted: str, em: float, f1: float):
    assert (exact_match(prediction, accepted), token_f1(prediction, accepted)) == (em, pytest.approx(f1))
