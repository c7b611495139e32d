"""The pictures of one experiment: its map of gains over several bases, or the accuracies of its methods from one."""

from __future__ import annotations

from mentor.reporting.figures.rendering import ReportFigure
from mentor.reporting.figures.summary import summary_figures
from mentor.reporting.read.records import Report
from scripts.results.comparison import Comparison


def pictures(found: Comparison) -> list[ReportFigure]:
    """Draw the report's first pictures, out of domain first; of several bases the maps alone."""
    drawn = summary_figures(Report("", "", [], [], [], means=found.means, gains=found.gains))
    maps = [figure for figure in drawn if figure.name != "summary"]
    return sorted(maps, key=lambda figure: figure.name != "map-ood") or drawn


def picture_lines(found: Comparison, folder: str) -> list[str]:
    """Show the pictures in Markdown, each with its title. folder: the way to them from the text."""
    return [f"{figure.title}:\n\n![{figure.title}]({folder}{figure.name}.png)" for figure in pictures(found)]
