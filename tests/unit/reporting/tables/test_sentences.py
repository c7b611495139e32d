"""What a run's report says last: its main tables as text, and a sentence made from the tests by rule."""

from dataclasses import replace

from mentor.reporting.read.methods import NOT_SIGNIFICANT
from mentor.reporting.read.records import MethodResult, Report
from mentor.reporting.tables.sentences import closing_lines, listed, ranking
from tests.fixtures.report_records import make_pair, make_result


def test_a_list_as_in_a_sentence() -> None:
    assert [listed(["a"]), listed([0, 1]), listed("abc")] == ["a", "0 and 1", "a, b and c"]


def test_the_method_that_is_better_than_most_is_named_first() -> None:
    better = [("b", "base"), ("c", "base"), ("c", "b")]
    assert ranking(better, 3) == "c is better than base and b; b is better than base."
    assert ranking(better[:1], 3) == "b is better than base. In 2 of 3 comparisons no difference was seen."
    assert ranking([], 3) == "No difference between any two of them was seen."


def method(name: str, accuracy: float, against_base: str | None = None) -> MethodResult:
    return MethodResult(
        name,
        "gsm8k",
        "test",
        "id",
        "sampled",
        8,
        [name],
        [],
        accuracy,
        0.25,
        0.75,
        accuracy,
        accuracy,
        "base",
        against_base,
    )


def test_the_last_lines_of_a_run() -> None:
    methods = [method("base", 0.5), method("x", 0.625, "better"), method("y", 0.375, "worse")]
    pairs = [
        make_pair("x", "base", "better"),
        make_pair("y", "base", "worse", difference=-0.25),
        make_pair("y", "x", NOT_SIGNIFICANT),
    ]
    pairs = [
        replace(pair, benchmark="gsm8k", split="test", domain="id", setting="sampled", seeds=(1, 1)) for pair in pairs
    ]
    results = [make_result("base", mode="sampled")]
    report = Report("t", "r", [], results, [], methods=methods, pairs=pairs, resamples=10_000)
    table = [
        "",
        "In domain: accuracy, sampled (%)",
        "method                    gsm8k/test",
        "base (base)      50.0 [25.0, 75.0]",
        "x              62.5 [25.0, 75.0] ▲",
        "y              37.5 [25.0, 75.0] ▼",
    ]
    width = len("base (base)  62.5 [25.0, 75.0] ▲")
    assert closing_lines(report)[:2] == table[:2]
    assert [line.split() for line in closing_lines(report)[2:6]] == [line.split() for line in table[2:]]
    assert {len(line) for line in closing_lines(report)[2:6]} == {width}
    assert closing_lines(report)[6:] == [
        "",
        "gsm8k/test, sampled: x is better than base; base is better than y. In 1 of 3 comparisons no "
        "difference was seen. One seed ranks nothing: another may differ.",
    ]
    several = [replace(pair, seeds=(2, 2)) for pair in pairs]
    assert "One seed" not in closing_lines(replace(report, pairs=several))[-1]
    assert closing_lines(replace(report, pairs=[]))[6:] == []
