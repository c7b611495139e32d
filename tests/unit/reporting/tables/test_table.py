"""How the cells of a table are written."""

from mentor.reporting.tables.table import MISSING, Cell, interval, model_label, number, percent, plain
from tests.fixtures.report_records import make_result


def test_numbers_as_they_are_written() -> None:
    assert [percent(0.12345), percent(1.0), percent(None)] == ["12.3", "100.0", MISSING]
    assert [number(12345), number(1.005, 2), number(0), number(None)] == ["12,345", "1.00", "0", MISSING]
    assert interval(make_result("m")) == "[10.0, 90.0]" and interval(make_result("m", low=None)) == MISSING


def test_a_base_is_labelled_and_plain_cells_have_text_alone() -> None:
    assert model_label(make_result("base")) == "base (base)" and model_label(make_result("x")) == "x"
    assert plain("a", "b") == [Cell("a"), Cell("b")] and Cell("a").evaluations == ()
