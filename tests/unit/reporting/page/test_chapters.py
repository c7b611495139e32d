"""The chapters of a report, in order, with the figures that belong to each."""

from dataclasses import replace

from mentor.reporting.figures.rendering import ReportFigure
from mentor.reporting.page.chapters import chapters_of
from mentor.reporting.read.records import Report
from tests.fixtures.report_records import make_method, make_result, make_stage


def test_chapters_hold_their_tables_and_figures() -> None:
    report = Report("t", "r", [make_stage("rl-x-s0")], [make_result("m")], [], methods=[make_method("m")])
    figure = ReportFigure("f", "F", "<svg/>", b"", True, "curves", ())
    chapters = chapters_of(report, [figure, replace(figure, chapter="tools", name="g")])
    ids = "verdict results differences curves sweeps similarity tools tool-use cost details provenance"
    assert [chapter.id for chapter in chapters] == ids.split()
    found = {chapter.id: chapter for chapter in chapters}
    assert [f.name for f in found["curves"].figures] == ["f"] and [f.name for f in found["tools"].figures] == ["g"]
    assert [table.title for table in found["cost"].tables] == ["Cost by method", "Cost by stage"]
    assert found["differences"].tables == [] and "question by question" in found["differences"].intro
