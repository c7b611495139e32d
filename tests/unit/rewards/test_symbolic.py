"""The judgements of the grader process, made here in this one."""

import pytest

from mentor.rewards.symbolic import JUDGES, ComparisonFailed, judge_project, judge_released, to_latex


@pytest.mark.parametrize(
    ("text", "latex"),
    [
        ("sqrt(2)", r"\sqrt{2}"),
        ("2*x**3", r"2\cdot x^3"),
        ("π", r"\pi "),
        ("2pi", r"2\pi "),
        ("infinity", r"\infty "),
        ("$5$", " 5 "),
        ("3i", r"3\kappa_{998}"),
        (r"\sum_{i=1}^n i", r"\sum_{i=1}^n i"),
    ],
)
def test_to_latex(text: str, latex: str) -> None:
    assert to_latex(text) == latex


def test_the_projects_judgement_reads_both_as_a_whole() -> None:
    assert judge_project(r"\sqrt{8}", ["7", r"2\sqrt{2}"], 10.0) is True
    assert judge_project("5", [r"5\pi"], 10.0) is False
    assert judge_project("", ["5"], 10.0) is False
    near = r"1-\frac{1}{2^{2015}}"
    assert judge_project(near, [r"1-\frac{1}{2^{2016}}"], 10.0) is False  # equal to 15 decimals


def test_a_comparison_that_breaks_has_no_verdict(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*arguments: object, **settings: object) -> bool:
        raise RecursionError

    monkeypatch.setattr("mentor.rewards.symbolic.verify", broken)
    with pytest.raises(ComparisonFailed):
        judge_project(r"\sqrt{8}", [r"2\sqrt{2}"], 10.0)
    assert judge_released(r"\sqrt{8}", ["7"], 10.0) is False  # any failure is no match there


def test_the_judges_by_name() -> None:
    assert {"project": judge_project, "released": judge_released} == JUDGES
