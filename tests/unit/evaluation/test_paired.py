"""Paired tests of two models on the same tasks: by hand, and the same quantities from SciPy."""

from itertools import product

import numpy as np
import pytest
from scipy import stats

from mentor.evaluation.paired import Difference, holm, paired_tests

RESAMPLES = 20_000


def mean(values: np.ndarray, axis: int = -1) -> np.ndarray:
    return np.mean(values, axis=axis)


def verdicts(seed: int, n: int, skills: tuple[float, float], answers: int = 1) -> np.ndarray:
    """(2, n) shares of correct answers of two models on tasks that are hard for both or easy for both."""
    generator = np.random.default_rng(seed)
    ease = generator.normal(size=n)
    chances = 1 / (1 + np.exp(-(ease + np.array(skills)[:, None])))
    return generator.binomial(answers, chances) / answers


@pytest.mark.parametrize(
    ("n", "skills", "answers"), [(80, (0.4, 0.0), 1), (400, (0.3, 0.0), 3), (1319, (0.1, 0.0), 1), (200, (0.0, 0.0), 2)]
)
def test_interval_and_p_are_those_of_scipy(n: int, skills: tuple[float, float], answers: int) -> None:
    first, second = verdicts(n, n, skills, answers)
    [ours] = paired_tests([first - second], RESAMPLES)
    assert ours.n == n and ours.difference == pytest.approx(np.mean(first) - np.mean(second))
    theirs = stats.bootstrap(
        (first, second),
        lambda a, b, axis: mean(a, axis) - mean(b, axis),
        paired=True,
        method="percentile",
        n_resamples=RESAMPLES,
        vectorized=True,
        batch=500,
        rng=np.random.default_rng(7),
    ).confidence_interval
    error = np.std(first - second) / np.sqrt(n)  # the ends scatter by about 2.7 error / sqrt(resamples), and by 1 / n
    assert (ours.low, ours.high) == pytest.approx(tuple(theirs), abs=0.1 * error + 1 / n / answers)
    p = stats.permutation_test(
        (first - second,),
        mean,
        permutation_type="samples",
        n_resamples=RESAMPLES,
        vectorized=True,
        batch=500,
        rng=np.random.default_rng(7),
    ).pvalue
    scatter = np.sqrt(2 * p * (1 - p) / RESAMPLES)  # of the difference of two estimates of p
    assert ours.p == pytest.approx(p, abs=5 * scatter + 1e-4)


def test_p_of_few_tasks_is_the_exact_one() -> None:
    differences = np.array([0.5, -0.25, 1.0, 0.25, 0.75, 0.0, 0.5, -0.5])
    exact = stats.permutation_test((differences,), mean, permutation_type="samples", n_resamples=np.inf).pvalue
    signs = np.array(list(product((1, -1), repeat=8)))
    assert exact == pytest.approx(np.mean(np.abs(signs @ differences) >= differences.sum()))  # by hand
    [ours] = paired_tests([differences], 100_000)
    assert ours.p == pytest.approx(exact, abs=0.005)


def test_five_tasks_that_all_agree_are_no_proof() -> None:
    [ours] = paired_tests([[1.0] * 5])
    assert (ours.low, ours.high) == (1.0, 1.0) and ours.p == pytest.approx(2 / 2**5, abs=0.01)


def test_no_difference_is_not_told_apart_and_a_sure_one_is() -> None:
    same, sure = paired_tests([[0.0] * 50, [1.0] * 40 + [0.0] * 10])
    assert same == Difference(50, 0.0, 0.0, 0.0, 1.0)
    assert sure.p == pytest.approx(1 / 10_001) and sure.low > 0.6 and sure.difference == 0.8


def test_the_same_numbers_every_time_and_turned_round() -> None:
    first, second = verdicts(3, 300, (0.2, 0.0))
    one, turned = paired_tests([first - second, second - first])
    assert paired_tests([first - second, second - first]) == [one, turned]
    assert (turned.difference, turned.p) == (-one.difference, one.p)
    assert (turned.low, turned.high) == pytest.approx((-one.high, -one.low), abs=1e-9)


def test_what_has_no_tasks_is_refused() -> None:
    for wrong in ([], [[]], [1.0, 0.0]):
        with pytest.raises(ValueError, match=r"accepted: \(comparisons, n\)"):
            paired_tests(wrong)


def test_holm_by_hand() -> None:
    assert holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])
    assert holm([0.6, 0.9]) == [1.0, 1.0] and holm([]) == []
    assert holm([0.02]) == [0.02]
