"""The report as one HTML file that needs nothing else: no script, no font, no link to follow, light and dark."""

from __future__ import annotations

from collections.abc import Sequence

from jinja2 import Environment, PackageLoader, StrictUndefined

from mentor.reporting.figures import Drawing
from mentor.reporting.tables import Table


def to_html(
    title: str,
    run: str,
    headline: Sequence[Table],
    details: Sequence[Table],
    drawings: Sequence[Drawing],
    missing: Sequence[str],
    notes: Sequence[str],
) -> str:
    """`headline` tables come before the figures, `details` after; every text is escaped, only the SVGs are not."""
    environment = Environment(
        loader=PackageLoader("mentor.reporting"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    return environment.get_template("report.html.j2").render(
        title=title,
        run=run,
        headline=headline,
        details=details,
        drawings=drawings,
        missing=missing,
        notes=notes,
    )
