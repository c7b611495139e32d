"""Last step of the flow: report one run folder as HTML, Markdown and JSON, which hold the same numbers."""

from mentor.reporting.figures.draw import draw
from mentor.reporting.read.collect import collect
from mentor.reporting.read.records import Report
from mentor.reporting.read.trajectories import gather
from mentor.reporting.tables.sentences import closing_lines
from mentor.reporting.tables.verdict import first_sentence
from mentor.reporting.write import write_report

__all__ = ["Report", "closing_lines", "collect", "draw", "first_sentence", "gather", "write_report"]
