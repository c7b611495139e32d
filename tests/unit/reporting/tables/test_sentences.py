"""What a run's report says last: its main tables as text, and a sentence made from the tests by rule."""

from dataclasses import replace

from mentor.reporting.read.methods import NOT_SIGNIFICANT
from mentor.reporting.read.records import Report
from mentor.reporting.tables.sentences import closing_lines, findings, listed
from tests.fixtures.report_records import make_method, make_pair, make_result


def test_a_list_as_in_a_sentence() -> None:
    assert [listed(["a"]), listed([0, 1]), listed("abc")] == ["a", "0 and 1", "a, b and c"]


def test_what_differs_over_seeds_in_these_models_only_and_not_at_all() -> None:
    over = [make_pair("b", "base", "better"), make_pair("c", "base", "better"), make_pair("b", "c", "worse")]
    assert findings(over) == "Over seeds, c is better than base and b; b is better than base."
    here = [over[0], make_pair("c", "base", "better here"), make_pair("b", "c", NOT_SIGNIFICANT)]
    assert findings(here, str.upper) == (
        "Over seeds, B is better than BASE. In these models, C is better than BASE; other seeds may differ. "
        "In 1 of 3 comparisons no difference was seen."
    )
    assert findings(here[2:]) == "No difference between any two of them was seen."


def test_the_last_lines_of_a_run() -> None:
    place = {"benchmark": "gsm8k", "low": 0.25, "high": 0.75, "n": 8}
    shown = {"base": (0.5, None), "x": (0.625, "better"), "y": (0.375, "worse here")}
    methods = [make_method(name, share, against_base=sign, **place) for name, (share, sign) in shown.items()]
    pairs = [
        make_pair("x", "base", "better"),
        make_pair("y", "base", "worse here", difference=-0.25),
        make_pair("y", "x", NOT_SIGNIFICANT),
    ]
    pairs = [replace(pair, benchmark="gsm8k", split="test", domain="id", setting="sampled") for pair in pairs]
    results = [make_result("base", mode="sampled")]
    report = Report("t", "r", [], results, [], methods=methods, pairs=pairs)
    table = [
        "",
        "In domain: accuracy, sampled (%)",
        "method                    gsm8k/test",
        "base (base)      50.0 [25.0, 75.0]",
        "x              62.5 [25.0, 75.0] ▲",
        "y              37.5 [25.0, 75.0] ▽",
    ]
    width = len("base (base)  62.5 [25.0, 75.0] ▲")
    assert closing_lines(report)[:2] == table[:2]
    assert [line.split() for line in closing_lines(report)[2:6]] == [line.split() for line in table[2:]]
    assert {len(line) for line in closing_lines(report)[2:6]} == {width}
    assert closing_lines(report)[6:] == [
        "",
        "gsm8k/test, sampled: Over seeds, x is better than base. In these models, base is better than y; other seeds "
        "may differ. In 1 of 3 comparisons no difference was seen.",
    ]
    assert closing_lines(replace(report, pairs=[]))[6:] == []
