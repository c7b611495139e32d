"""The judgements of the grader process, made here in this one."""

import pytest
from latex2sympy2_extended import latex2sympy2
from math_verify import parser

from mentor.rewards import symbolic
from mentor.rewards.symbolic import JUDGES, ComparisonFailed, judge_project, judge_released


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


@pytest.mark.parametrize(
    "text",
    [
        r"\frac{x}{2}+\sqrt{3}",
        r"(1, 2] \cup \{5\}",
        "x = 5",
        r"1 < x \leq 2",
        r"\sin 2x",
        r"\begin{pmatrix} 1 \\ 2 \end{pmatrix}",
    ],
)
def test_the_quick_stage_of_the_parser_gives_the_same_tree(text: str, monkeypatch: pytest.MonkeyPatch) -> None:
    quick = symbolic._read(text, 5)
    monkeypatch.setattr(symbolic._Parser, "math", latex2sympy2.PSParser.__mro__[1].math)
    for cached in (parser.parse_latex_cached, parser.extract_latex):
        cached.cache_clear()
    assert quick == symbolic._read(text, 5) != []


def test_the_released_judgement_has_one_stage() -> None:
    symbolic._read("x", 5)
    assert symbolic._Parser.quick is False
