"""Paired tests of two methods on the same questions: by hand, and the same quantities from SciPy."""

import numpy as np
import pytest
from scipy import stats

from mentor.evaluation.paired import holm_factors, paired_test


def verdicts(seed: int, n: int, skills: tuple[float, float], answers: int = 1) -> np.ndarray:
    """(2, n) shares of correct answers of two models on questions that are hard for both or easy for both."""
    generator = np.random.default_rng(seed)
    ease = generator.normal(size=n)
    chances = 1 / (1 + np.exp(-(ease + np.array(skills)[:, None])))
    return generator.binomial(answers, chances) / answers


@pytest.mark.parametrize(("n", "answers"), [(80, 1), (400, 3), (1319, 1)])
def test_two_models_are_compared_as_by_the_paired_t_test(n: int, answers: int) -> None:
    first, second = verdicts(n, n, (0.4, 0.0), answers)
    found = paired_test([first[None]], [second[None]], matched=True)
    assert found.over_seeds is None and found.widest is found.here
    assert found.n == n and found.difference == pytest.approx(np.mean(first - second))
    theirs = stats.ttest_rel(first, second)
    # One more answer gained and one lost moves it a little, less so with more questions.
    assert found.p_value(found.here) == pytest.approx(theirs.pvalue, rel=6 / n, abs=0.2 / n)
    assert found.interval(found.here) == pytest.approx(tuple(theirs.confidence_interval(0.95)), abs=0.3 / n)
    # With those two it is the t interval to the last digit.
    error = stats.sem(np.append(first - second, [1, -1]))
    assert found.here.half_width(0.01) == pytest.approx(stats.t.ppf(0.995, n + 1) * error)


def test_seeds_are_compared_as_by_the_t_test_over_them_where_questions_add_nothing() -> None:
    gains = np.array([0.1, 0.2, 0.15])
    first = np.repeat(0.4 + gains[:, None], 5000, axis=1)
    found = paired_test([first], [np.full((3, 5000), 0.4)], matched=True)
    assert found.by_seed == pytest.approx(gains)
    assert found.over_seeds is not None
    assert found.p_value(found.over_seeds) == pytest.approx(stats.ttest_1samp(gains, 0).pvalue, rel=1e-3)
    assert found.p_value(found.here) < 1e-6, "the questions alone leave no doubt about these models"


def test_seeds_that_do_not_match_and_methods_with_one_model() -> None:
    generator = np.random.default_rng(5)
    three, two, one = (generator.integers(2, size=(seeds, 100)).astype(float) for seeds in (3, 2, 1))
    apart = paired_test([three], [two], matched=False)
    assert apart.over_seeds is not None and [part.df for part in apart.over_seeds.parts] == [2, 1, 101]
    assert len(apart.by_seed) == 6 and np.mean(apart.by_seed) == pytest.approx(apart.difference)
    assert paired_test([three], [one], matched=False).over_seeds is None, "another seed of it may differ"
    assert paired_test([three], [one], matched=False, fixed=(False, True)).over_seeds is not None
    assert paired_test([one], [one], matched=True, fixed=(True, True)).over_seeds is None


def test_where_no_verdict_differs_the_interval_is_exact() -> None:
    same = np.array([[1.0, 0.0, 1.0, 1.0, 0.0, 0.0, 1.0, 1.0]])
    found = paired_test([same], [same], matched=True)
    # A share u of differing questions is missed by 8 questions with probability (1 - u)^8 = 0.025.
    assert found.interval(found.here) == pytest.approx((-0.36942, 0.36942), abs=1e-5)
    exact = stats.binomtest(0, 8).proportion_ci(0.95, method="exact")
    assert found.interval(found.here)[1] == pytest.approx(exact.high)
    assert found.p_value(found.here) == 1.0 and found.difference == 0.0
    assert found.interval(found.here, 0.01) == pytest.approx((-0.48433, 0.48433), abs=1e-5)
    seeds = paired_test([np.ones((3, 200))] * 2, [np.ones((3, 200))] * 2, matched=True)
    assert seeds.interval(seeds.widest)[1] == pytest.approx(1 - 0.025 ** (1 / 400))


def test_five_questions_that_all_agree_are_no_proof() -> None:
    five, six = (paired_test([np.ones((1, n))], [np.zeros((1, n))], matched=True) for n in (5, 6))
    assert (five.difference, five.p_value(five.here)) == (1.0, 2 / 2**5)
    assert five.interval(five.here) == (-1.0, 1.0)
    assert six.p_value(six.here) == 2 / 2**6 and six.interval(six.here)[0] > 0


@pytest.mark.parametrize("seed", range(20))
def test_an_interval_leaves_out_0_exactly_where_p_is_below_its_level(seed: int) -> None:
    first, second = verdicts(seed, 60, (0.5, 0.0))
    found = paired_test([first[None]], [second[None]], matched=True)
    p = found.p_value(found.here)
    for alpha in (p * 1.001, p * 0.999):
        low, high = found.interval(found.here, alpha)
        assert (low > 0 or high < 0) == (p < alpha)


def test_the_same_numbers_turned_round() -> None:
    first, second = verdicts(3, 300, (0.2, 0.0))
    one, turned = (paired_test([a[None]], [b[None]], matched=True) for a, b in ((first, second), (second, first)))
    assert turned.difference == -one.difference and turned.p_value(turned.here) == pytest.approx(one.p_value(one.here))
    assert turned.interval(turned.here) == pytest.approx(tuple(-end for end in one.interval(one.here)[::-1]))


def test_scores_that_do_not_fit_are_refused() -> None:
    one = np.zeros((1, 3))
    for first, second in (([], []), ([np.zeros((1, 0))] * 2), ([one[0]], [one[0]]), ([one], [np.zeros((1, 4))])):
        with pytest.raises(ValueError, match=r"accepted: \(seeds, questions\)"):
            paired_test([*first], [*second], matched=True)
    with pytest.raises(ValueError, match="accepted"):
        paired_test([one], [np.zeros((2, 3))], matched=True)


def test_holm_by_hand() -> None:
    values = [0.01, 0.04, 0.03, 0.005]
    adjusted = [min(1.0, factor * p) for factor, p in zip(holm_factors(values), values, strict=True)]
    assert adjusted == pytest.approx([0.03, 0.06, 0.06, 0.02])
    assert holm_factors([0.6, 0.9]) == pytest.approx([2.0, 4 / 3]) and holm_factors([]) == []
    assert holm_factors([0.02]) == [1.0] and holm_factors([0.0, 0.0]) == [2.0, 1.0]
