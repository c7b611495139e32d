"""Models of one method over their seeds, and which differences between methods are called real."""

from pathlib import Path

import pytest

from mentor.reporting import collect
from mentor.reporting.read.methods import NOT_SIGNIFICANT, against_base, compare, method_of, method_results
from mentor.reporting.read.records import Pair
from tests.fixtures.report_records import make_result, make_stage
from tests.fixtures.run_folder import evaluation_record, make_row, make_trajectory, write_eval, write_lines, write_stage


def test_only_a_folder_of_the_run_has_a_seed() -> None:
    trained = {"rl-flexible-s0", "rl-flexible-s12", "rl-a-s1-s0"}
    names = ["rl-flexible-s0", "rl-flexible-s12", "rl-a-s1-s0", "hub--model-s3", "base"]
    assert [method_of(n, trained) for n in names] == ["rl-flexible", "rl-flexible", "rl-a-s1", "hub--model-s3", "base"]


def test_a_method_is_the_mean_of_its_seeds() -> None:
    rows = [
        make_result("base", 0.5),
        make_result("rl-x-s0", 0.6),
        make_result("rl-x-s1", 0.8),
        make_result("rl-x-s2", None),
    ]
    base, trained = method_results(rows, [make_stage(f"rl-x-s{seed}") for seed in range(3)], {})
    assert (base.method, base.accuracy, base.low, base.high, base.base) == ("base", 0.5, 0.1, 0.9, "base")
    assert (trained.method, trained.models) == ("rl-x", ["rl-x-s0", "rl-x-s1"])
    assert (trained.seeds, trained.by_seed) == ([0, 1], [0.6, 0.8]) and base.seeds == [None]
    assert trained.accuracy == pytest.approx(0.7)
    # Two seeds, 0.1 from their mean: a standard error of 0.1 that counts 12.7 times, with one degree of freedom.
    assert (trained.low, trained.high) == (0.0, 1.0)


def scored(**right: int) -> dict:
    """100 tasks, of which a model has the first so many right."""
    return {
        (model.replace("_", "-"), "b", "test", "greedy"): {(f"t{n}", "q"): float(n < count) for n in range(100)}
        for model, count in right.items()
    }


def test_pairs_are_about_other_seeds_or_about_these_models() -> None:
    rows = [make_result(model, 0.5) for model in ("base", "rl-x-s0", "rl-x-s1", "other")]
    rows += [make_result(f"rl-y-s{seed}", 0.5) for seed in (1, 0)]
    stages = [make_stage(f"rl-{name}-s{seed}") for name in "xy" for seed in (0, 1)]
    scores = scored(base=50, rl_x_s0=80, rl_x_s1=70, other=52, rl_y_s0=50, rl_y_s1=40)
    methods = method_results(rows, stages, scores)
    named: dict[tuple[str, str], Pair] = {(p.first, p.second): p for p in compare(methods, scores)}
    assert len(named) == 6 and ("rl-x", "base") in named, "later ones against earlier ones"
    gain = named["rl-x", "base"]
    assert gain.by_seed == pytest.approx([0.3, 0.2]) and gain.difference == pytest.approx(0.25)
    assert gain.seeds == (2, 1) and gain.n == 100 and gain.over_seeds, "the base is one for all seeds"
    assert gain.conclusion == "better here", "two seeds leave a factor of 12.7"
    assert gain.low_holm < gain.low < 0 < gain.high and gain.p_here_holm < 0.05 < gain.p_holm
    same = named["rl-y", "rl-x"]
    assert same.by_seed == pytest.approx([-0.3, -0.3]), "seed by seed, in the order of the seeds"
    assert same.conclusion == "worse" and same.p_holm < 0.05 and same.high_holm < 0
    chance = named["other", "base"]
    assert (chance.conclusion, chance.over_seeds) == (NOT_SIGNIFICANT, False) and chance.low < 0 < chance.high
    assert against_base(methods, list(named.values()))[0].against_base is None


def test_one_seed_of_two_that_disagree_is_no_finding() -> None:
    rows = [make_result(model, 0.5) for model in ("base", "rl-x-s0", "rl-x-s1")]
    scores = scored(base=50, rl_x_s0=90, rl_x_s1=49)
    [pair] = compare(method_results(rows, [make_stage("rl-x-s0"), make_stage("rl-x-s1")], scores), scores)
    assert pair.p_here_holm < 0.05 and pair.conclusion == NOT_SIGNIFICANT


def test_only_tasks_that_all_have_a_verdict_on_are_compared() -> None:
    methods = method_results([make_result("base", 0.5), make_result("x", 0.5), make_result("y", 0.5)], [], {})
    scores = scored(base=50, x=60)
    scores["x", "b", "test", "greedy"] |= {("t0", "another question"): 1.0}
    del scores["x", "b", "test", "greedy"]["t99", "q"]
    [pair] = compare(methods, scores)
    assert (pair.first, pair.second, pair.n) == ("x", "base", 99), "y has no verdicts at all"


def test_answers_without_tools_are_rows_of_their_own(tmp_path: Path) -> None:
    for seed in (0, 1):
        write_stage(tmp_path, f"rl-x-s{seed}", "rl", base="m", seed=seed)
    for model, right in (("m", 3), ("rl-x-s0", 9), ("rl-x-s1", 10)):
        rows = [make_row(right / 10, 0.1, 0.9, n=10, with_tools=tools, pass_at={"1": 0.5}) for tools in (True, False)]
        folder = write_eval(tmp_path, model, *rows)
        items = [
            evaluation_record(make_trajectory(f"t{n}", split="test"), correct=n < right - 3 * (not tools))
            | {"with_tools": tools}
            for tools in (True, False)
            for n in range(10)
        ]
        write_lines(folder / "items.jsonl", items)
    report = collect(tmp_path, "t")
    assert [(p.first, p.second, p.setting) for p in report.pairs] == [
        ("rl-x", "m", "sampled"),
        ("rl-x", "m", "sampled, without tools"),
    ]
    assert [pair.difference for pair in report.pairs] == pytest.approx([0.65, 0.65])
    told = {(m.method, m.setting): m.against_base for m in report.methods}
    assert told["rl-x", "sampled"] == "better here" and told["m", "sampled"] is None
    trained = next(result for result in report.results if result.model == "rl-x-s0")
    assert (trained.correct, trained.sampled_tokens, trained.pass_at) == (9, 20, {"1": 0.5})
