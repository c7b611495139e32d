"""The paired tests as tables."""

from mentor.reporting.read.methods import NOT_SIGNIFICANT
from mentor.reporting.read.records import Report
from mentor.reporting.tables.differences import difference_tables, interval_text, p_text, points
from tests.fixtures.report_records import make_pair, make_result


def report_of(*pairs) -> Report:
    return Report("t", "r", [], [make_result("base", mode="sampled")], [], pairs=list(pairs))


def test_points_and_p_values_as_they_are_written() -> None:
    pair = make_pair("x", "y", "better", low=-0.05)
    assert (points(0.123), points(-0.5), interval_text(pair)) == ("+12.3", "−50.0", "[−5.0, +37.5]")
    assert (p_text(0.25), p_text(0.0123), p_text(1e-6)) == ("0.25", "0.0123", "< 0.0001")


def test_a_matrix_a_listing_and_every_test() -> None:
    worse = make_pair("y", "x", "worse", difference=-0.25)
    pairs = [make_pair("x", "base", "better"), worse, make_pair("x", "base", NOT_SIGNIFICANT, split="long")]
    matrix, listing, full = difference_tables(report_of(*pairs))
    assert matrix.columns == ["method", "base", "x", "y"]
    assert [[cell.text for cell in row] for row in matrix.rows] == [
        ["base", "–", "1 ▼ of 2", "–"],
        ["x", "1 ▲ of 2", "–", "1 ▲ of 1"],
        ["y", "–", "1 ▼ of 1", "–"],
    ]
    assert [[cell.text for cell in row] for row in listing.rows] == [
        ["x − base", "+25.0 [+12.5, +37.5] ▲", "+25.0 [+12.5, +37.5]"],
        ["y − x", "−25.0 [+12.5, +37.5] ▼", "–"],
    ]
    assert listing.rows[0][1].note == "p 0.0010"
    assert "adjustment for all 3, 2 are significant over seeds (▲ ▼) and 0 in" in listing.caption
    assert [cell.text for cell in full.rows[0]][8:12] == ["[+12.5, +37.5]", "0.0010", "[+6.2, +43.8]", "0.0020"]
    here = [make_pair("x", "base", "better here"), make_pair("x", "base", "better", split="long")]
    matrix, listing, _ = difference_tables(report_of(*here, make_pair("y", "base", "better here")))
    assert matrix.rows[1][1].text == "1 ▲ 1 △ of 2" and matrix.rows[0][1].text == "–"
    assert listing.rows[0][1].text == "+25.0 [+12.5, +37.5] △" and listing.rows[0][1].conclusion == "better here"
    assert [row[-1].text for row in full.rows] == ["better", "worse", "not significant"] and not full.main


def test_without_pairs_there_is_no_table() -> None:
    assert difference_tables(report_of()) == []
