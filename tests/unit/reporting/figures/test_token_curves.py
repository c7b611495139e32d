"""Training accuracy at equal numbers of sampled tokens."""

import numpy as np

from mentor.reporting.figures.token_curves import PLACES, band, by_tokens, token_figures
from mentor.reporting.read.records import Curve


def curves(folder: str, tokens: list[float | None], accuracy: list[float | None]) -> list[Curve]:
    steps = list(range(1, len(tokens) + 1))
    return [Curve(folder, "rollout/tokens", steps, tokens), Curve(folder, "reward/correct", steps, accuracy)]


def test_accuracy_over_the_tokens_sampled_so_far() -> None:
    lines = by_tokens([*curves("rl-x-s0", [100, 50, 50], [0.0, None, 0.5]), Curve("sft-s0", "loss/train", [1], [2.0])])
    assert list(lines) == ["rl-x-s0"]
    assert lines["rl-x-s0"].tolist() == [[100, 200], [0, 50]]
    many = by_tokens(curves("rl-x-s0", [10] * 7, [0, 0, 0, 0, 0, 1, 1]))["rl-x-s0"]
    assert np.allclose(many[1], [0, 0, 0, 20, 40, 50, 200 / 3])  # of 3, 4, 5, 5, 5, 4 and 3 steps


def test_a_band_covers_the_budget_that_all_seeds_reached() -> None:
    mean, edges = band([np.array([[100, 300], [0, 20]]), np.array([[50, 250], [10, 10]])])
    assert mean.shape == edges.shape == (2, PLACES) and (mean[0, 0], mean[0, -1]) == (100, 250)
    assert (mean[1, 0], edges[0, 0], edges[1, 0]) == (5, 0, 10) and mean[1, -1] == 12.5


def test_a_figure_where_tokens_were_logged() -> None:
    found = curves("rl-x-s0", [100, 100], [0.1, 0.2]) + curves("rl-x-s1", [100, 120], [0.2, 0.4])
    [figure] = token_figures(found, {"rl-x": "#3f83c8"})
    assert figure.name == "accuracy-by-tokens" and 'data-line="method:rl-x"' in figure.svg
    assert figure.folders == ("rl-x-s0", "rl-x-s1") and "sampled tokens" in figure.svg
    assert token_figures(found[:1], {}) == []
