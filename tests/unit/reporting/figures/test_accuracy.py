"""Accuracy figures: one per domain and setting that has a method."""

from mentor.reporting.figures.accuracy import accuracy_figures
from mentor.reporting.read.records import Report
from tests.fixtures.report_records import make_method, make_result


def test_a_figure_per_domain_and_setting() -> None:
    methods = [make_method("base"), make_method("x", 0.75), make_method("x", domain="ood", setting="greedy")]
    results = [make_result("base", mode=mode) for mode in ("sampled", "greedy")]
    colors = {"base": "#3f83c8", "x": "#d9772b"}
    inside, outside = accuracy_figures(Report("t", "r", [], results, [], methods=methods), colors)
    assert (inside.name, inside.main) == ("accuracy-id-sampled", True)
    assert (outside.name, outside.main) == ("accuracy-ood-greedy", False)
    assert inside.folders == ("eval/base/b", "eval/x/b")
    assert inside.title == "In domain: accuracy with 95 % intervals, sampled" and "#d9772b" in inside.svg


def test_an_interval_that_ends_at_the_accuracy_is_drawn() -> None:
    methods = [make_method("none", 0.0, low=0.0, high=0.04), make_method("all", 1.0, low=0.96, high=1.0)]
    report = Report("t", "r", [], [make_result("none", mode="sampled")], [], methods=methods)
    [figure] = accuracy_figures(report, {"none": "#3f83c8", "all": "#d9772b"})
    assert figure.png.startswith(b"\x89PNG")
