"""Means over the splits of a domain, and gains over the reference."""

import pytest

from mentor.reporting.read.domain_means import domain_means, gains, reference_of
from mentor.reporting.read.methods import method_results
from tests.fixtures.report_records import make_method, make_result, make_stage

SKILLS = {"pretrain-s0": (10, 20), "pretrain-s1": (12, 22), "rl-sparse-s0": (30, 40), "rl-sparse-s1": (34, 40)}


def methods_and_scores(skills: dict[str, tuple[int, int]]):
    """Of 50 questions on each of two splits, a model has the first so many right."""
    rows, scores = [], {}
    for model, solved in skills.items():
        for split, right in zip(("a", "b"), solved, strict=True):
            base = model.replace("rl-sparse", "pretrain").replace("rl-x", "pretrain")
            rows.append(make_result(model, right / 50, split=split, domain="ood", n=50, base=base))
            scores[model, "b", split, "greedy"] = {(f"{split}{n}", "q"): float(n < right) for n in range(50)}
    return method_results(rows, [make_stage(model) for model in skills], scores), scores


def test_a_mean_gives_every_split_the_same_weight() -> None:
    methods, scores = methods_and_scores(SKILLS)
    base, sparse = domain_means(methods, scores)
    assert (base.split, base.n, base.benchmark) == ("mean of 2 splits", 100, "")
    assert base.by_seed == pytest.approx([0.3, 0.34]) and base.accuracy == pytest.approx(0.32)
    assert sparse.by_seed == pytest.approx([0.7, 0.74]) and sparse.low < 0.72 < sparse.high
    assert sparse.folders == [""] and sparse.models == ["rl-sparse-s0", "rl-sparse-s1"]


def test_each_method_is_compared_with_the_outcome_alone() -> None:
    methods, scores = methods_and_scores(SKILLS | {"rl-x-s0": (32, 45), "rl-x-s1": (34, 45)})
    found = {gain.first: gain for gain in gains(methods, scores)}
    assert list(found) == ["pretrain", "rl-x"] and {gain.second for gain in found.values()} == {"rl-sparse"}
    assert found["rl-x"].by_seed == pytest.approx([0.07, 0.05]) and found["rl-x"].difference == pytest.approx(0.06)
    assert found["pretrain"].difference == pytest.approx(-0.4) and found["pretrain"].n == 100
    assert found["pretrain"].conclusion == "worse" and found["pretrain"].over_seeds


def test_without_it_the_base_is_the_reference() -> None:
    skills = {name.replace("sparse", "x"): solved for name, solved in SKILLS.items()}
    [gain] = gains(*methods_and_scores(skills))
    assert (gain.first, gain.second) == ("rl-x", "pretrain")
    assert reference_of([make_method("a", base=None)]) is None


def test_a_split_that_one_method_lacks_is_left_out_and_a_single_one_keeps_its_name() -> None:
    methods, scores = methods_and_scores(SKILLS)
    without = [m for m in methods if (m.method, m.split) != ("pretrain", "b")]
    assert [(m.method, m.split, m.n) for m in domain_means(without, scores)] == [
        ("pretrain", "a", 50),
        ("rl-sparse", "a", 50),
    ]
    assert domain_means([m for m in without if (m.method, m.split) != ("rl-sparse", "a")], scores) == []
