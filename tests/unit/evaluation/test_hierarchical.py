"""Intervals over seeds and questions: by hand, the same quantities from SciPy, and how often they hold the truth."""

import math

import numpy as np
import pytest
from scipy import stats

from mentor.evaluation.hierarchical import (
    SMALLEST_P,
    Estimate,
    VariancePart,
    accuracy_interval,
    accuracy_interval_of_means,
    estimate,
)
from mentor.evaluation.paired import paired_test
from mentor.evaluation.statistics import wilson_interval

HERMITE = np.polynomial.hermite_e.hermegauss(60)
DRAWS, QUESTIONS = 2000, 200


def test_two_seeds_of_two_questions_by_hand() -> None:
    scores = np.array([[1.0, 0.0], [1.0, 1.0]])
    found = estimate([scores], over_seeds=True)
    # Means of the seeds 0.5 and 1: variance 0.125, over 2 seeds. Covariance of the two on the questions: 0.
    assert found == Estimate(0.75, (VariancePart(0.0625, 1), VariancePart(0.0, 1)))
    here = estimate([scores], over_seeds=False)
    # Means of the questions 1 and 0.5: variance 0.125, over 2 questions.
    assert here == Estimate(0.75, (VariancePart(0.0625, 1),))
    # One answer more and one less, of one of two seeds: the means are then 1, 0.5, 0.5, -0.5.
    added = estimate([scores], over_seeds=False, extra=True)
    assert added.mean == 0.75
    assert added.parts == (VariancePart(pytest.approx(np.var([1, 0.5, 0.5, -0.5], ddof=1) / 4), 3),)


def test_one_model_has_the_interval_and_p_of_the_t_test() -> None:
    values = np.random.default_rng(0).normal(0.1, 1, size=60)
    found = estimate([values[None]], over_seeds=True)
    theirs = stats.ttest_1samp(values, 0)
    assert found.p_value() == pytest.approx(theirs.pvalue, rel=1e-6)
    low, high = theirs.confidence_interval(0.95)
    assert (found.mean - found.half_width(), found.mean + found.half_width()) == pytest.approx((low, high))


def test_where_questions_add_nothing_it_is_the_t_test_over_the_means_of_the_seeds() -> None:
    means = np.array([0.2, 0.35, 0.5, 0.3])
    found = estimate([np.repeat(means[:, None], 50, axis=1)], over_seeds=True)
    theirs = stats.ttest_1samp(means, 0)
    assert found.p_value() == pytest.approx(theirs.pvalue, rel=1e-6)
    low, high = theirs.confidence_interval(0.99)
    assert 2 * found.half_width(0.01) == pytest.approx(high - low)


def test_the_parts_are_those_of_a_two_way_analysis_of_variance() -> None:
    generator = np.random.default_rng(1)
    seeds, questions = 4, 30
    scores = generator.normal(size=(seeds, 1)) + generator.normal(size=questions) + generator.normal(size=(seeds, 30))
    of_seeds, of_questions = estimate([scores], over_seeds=True).parts
    # SciPy's F of one factor is its mean square over that of the rest; both factors give the mean squares of the three.
    total = ((scores - scores.mean()) ** 2).sum()
    squares = []
    for groups, df in ((scores, seeds - 1), (scores.T, questions - 1)):
        f = stats.f_oneway(*groups).statistic
        rest = seeds * questions - 1 - df
        squares.append(total * f * df / (f * df + rest))
    residual = (total - sum(squares)) / ((seeds - 1) * (questions - 1))
    size = seeds * questions
    assert of_seeds.variance == pytest.approx(squares[0] / (seeds - 1) / size) and of_seeds.df == seeds - 1
    assert of_questions.variance == pytest.approx((squares[1] / (questions - 1) - residual) / size)


def test_seeds_that_do_not_match_add_their_variances_and_a_fixed_model_adds_none() -> None:
    generator = np.random.default_rng(2)
    first, second, base = (generator.normal(size=(seeds, 40)) for seeds in (3, 5, 1))
    parts = estimate([first], [second], over_seeds=True).parts
    assert [part.df for part in parts] == [2, 4, 39]
    for part, own in zip(parts, (first, second), strict=False):
        assert part.variance == pytest.approx(stats.sem(own.mean(axis=1)) ** 2)
    # Against a fixed model it is the same as a test of the differences to it.
    against, paired = estimate([first], [base], over_seeds=True), estimate([first - base], over_seeds=True)
    assert against.mean == pytest.approx(paired.mean)
    assert [p.variance for p in against.parts] == pytest.approx([p.variance for p in paired.parts])


def test_splits_weigh_the_same() -> None:
    generator = np.random.default_rng(3)
    small, large = generator.normal(size=(1, 10)), generator.normal(size=(1, 1000))
    found = estimate([small, large], over_seeds=False)
    assert found.mean == pytest.approx((small.mean() + large.mean()) / 2)
    assert found.parts[0].variance == pytest.approx((stats.sem(small[0]) ** 2 + stats.sem(large[0]) ** 2) / 4)


def test_the_ends_of_a_p_value() -> None:
    assert Estimate(0.0, (VariancePart(0.0, 5),)).p_value() == 1.0
    assert Estimate(0.5, (VariancePart(0.0, 5),)).p_value() == SMALLEST_P
    assert Estimate(0.0, (VariancePart(0.1, 5),)).p_value() == pytest.approx(1.0)


def test_an_accuracy_stays_between_0_and_1() -> None:
    assert accuracy_interval([np.zeros((3, 50))]) == wilson_interval(0, 50)
    assert accuracy_interval([np.ones((3, 50))]) == wilson_interval(50, 50)
    rare = np.zeros((3, 50))
    rare[0, 0] = 1
    low, high = accuracy_interval([rare])
    assert 0 <= low < 1 / 150 < high < 0.1
    wide = np.repeat([[0.1], [0.9]], 50, axis=1)
    assert accuracy_interval([wide]) == pytest.approx((0.0, 1.0), abs=0.05)  # two seeds, as far apart as can be


def test_without_the_scores_questions_are_taken_to_be_all_shared() -> None:
    scores = np.random.default_rng(4).integers(2, size=(3, 100)).astype(float)
    low, high = accuracy_interval([scores])
    wide_low, wide_high = accuracy_interval_of_means(list(scores.mean(axis=1)), 100)
    assert wide_low < low < high < wide_high
    assert accuracy_interval_of_means([0.0, 0.0], 20) == wilson_interval(0, 20)


def chance(mean: float, seed: np.ndarray, question: np.ndarray) -> np.ndarray:
    return 1 / (1 + np.exp(-(mean + seed + question)))


def expected(mean: float, seed: float, question: float) -> float:
    """The accuracy over all seeds and questions, from their standard deviations in log odds."""
    nodes, weights = HERMITE
    return float(weights @ chance(mean, 0, math.hypot(seed, question) * nodes) / weights.sum())


# Mean, standard deviation of seeds and of questions in log odds. In shares they are those of docs/results/rare_success,
# sampled, of RL `results` on `test` (0.49, 0.11, 0.18) and `long` (0.21, 0.08, 0.19), of SFT on `test`
# (0.55, 0.14, 0.29).
# The seeds of RL `results` on `numbers` (0.19, 0, 0.21) do not scatter by more than 200 answers do.
MEASURED = {"results": (-0.04, 0.5, 0.84), "long": (-1.89, 0.62, 1.42), "sft": (0.34, 1.02, 1.98)}
ALIKE = (-2.1, 0.0, 1.67)


def coverage(setting: tuple[float, float, float], seeds: int) -> float:
    """How often the interval of an accuracy holds the one over all seeds and questions."""
    mean, of_seeds, of_questions = setting
    generator = np.random.default_rng(seeds)
    truth, held = expected(*setting), 0
    for _ in range(DRAWS):
        seed, question = generator.normal(size=(seeds, 1)), generator.normal(size=QUESTIONS)
        chances = chance(mean, of_seeds * seed, of_questions * question)
        low, high = accuracy_interval([(generator.random(chances.shape) < chances).astype(float)])
        held += low <= truth <= high
    return held / DRAWS


@pytest.mark.slow
@pytest.mark.parametrize("seeds", [3, 5])
@pytest.mark.parametrize("name", MEASURED)
def test_an_accuracy_interval_holds_the_truth_in_95_of_100_draws(name: str, seeds: int) -> None:
    assert 0.93 <= coverage(MEASURED[name], seeds) <= 0.97


@pytest.mark.slow
def test_where_seeds_are_alike_an_interval_over_three_is_somewhat_wide() -> None:
    assert 0.95 <= coverage(ALIKE, 5) <= coverage(ALIKE, 3) <= 0.985


@pytest.mark.slow
@pytest.mark.parametrize("seeds", [3, 5])
@pytest.mark.parametrize("pair", [("sft", "results"), ("results", "long")])
def test_the_interval_of_a_difference_holds_the_truth_in_95_of_100_draws(pair: tuple[str, str], seeds: int) -> None:
    """Seeds share half of the variance between two methods, as they share a base, and questions 0.8 of it."""
    generator = np.random.default_rng(seeds)
    settings = [MEASURED[name] for name in pair]
    truth = expected(*settings[0]) - expected(*settings[1])
    held = 0
    for _ in range(DRAWS):
        base, ease = generator.normal(size=(seeds, 1)), generator.normal(size=QUESTIONS)
        answers = []
        for mean, of_seeds, of_questions in settings:
            seed = math.sqrt(0.5) * base + math.sqrt(0.5) * generator.normal(size=(seeds, 1))
            question = math.sqrt(0.8) * ease + math.sqrt(0.2) * generator.normal(size=QUESTIONS)
            chances = chance(mean, of_seeds * seed, of_questions * question)
            answers.append((generator.random(chances.shape) < chances).astype(float))
        found = paired_test([answers[0]], [answers[1]], matched=True)
        low, high = found.interval(found.widest)
        held += low <= truth <= high
    assert 0.93 <= held / DRAWS <= 0.97
