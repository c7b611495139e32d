"""Tables and lists as Markdown that shows every text as it is."""

from mentor.reporting.page.markdown import escape, table_to_markdown, to_markdown
from mentor.reporting.tables.table import Cell, Table, plain


def test_texts_are_shown_as_they_are() -> None:
    assert escape("a*b_c|d[e]`<f>&\n") == "a\\*b\\_c\\|d\\[e\\]\\`&lt;f&gt;&amp; "


def test_a_table_with_its_columns_aligned_and_notes_in_brackets() -> None:
    table = Table("T", "caption", ["a", "n"], [plain("x", "1"), [Cell("y"), Cell("2", note="p 0.5")]])
    assert table_to_markdown(table).splitlines() == ["| a | n |", "| --- | ---: |", "| x | 1 |", "| y | 2 (p 0.5) |"]


def test_lists_are_left_out_where_they_are_empty() -> None:
    table = Table("T", "caption", ["a"], [plain("x")])
    text = to_markdown("Title", "demo", ["One sentence.", "More."], True, [table], [], ["a caveat"], "All shown.")
    assert text.startswith(
        "# Title\n\nOne sentence.\n\n![accuracy in and out of domain](figures/summary.png)\n\nRun `demo`"
    )
    assert "All shown.\n\nMore.\n" in text
    assert "## Read with care\n\n- a caveat" in text and "## Missing" not in text
    assert text.endswith("## T\n\ncaption\n\n| a |\n| --- |\n| x |\n")
