"""The report as one self-contained HTML file: styles, scripts, figures and data are inside, no font is loaded."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from mentor.reporting.page.chapters import Chapter
from mentor.reporting.page.page_data import script_json
from mentor.reporting.read.methods import method_of, trained_folders
from mentor.reporting.read.order import distinct
from mentor.reporting.read.records import Report
from mentor.reporting.tables.stages import package_versions, provenance

SCRIPTS = ("report.js", "trajectory.js", "trajectories.js")  # one script element, in this order


def to_html(
    report: Report,
    chapters: Sequence[Chapter],
    caveats: Sequence[str],
    missing: Sequence[str],
    trajectories: str | None,
    choice: str,
) -> str:
    """Render the page. Every text is escaped, except the SVGs, the project's script and the JSON of script elements.

    trajectories: JSON safe inside a script element, None for a page without them. choice: the sentence on which of
    them are shown.
    """
    loader = PackageLoader("mentor.reporting.page")
    environment = Environment(
        loader=loader, autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )

    def source(name: str) -> Markup:
        return Markup(loader.get_source(environment, name)[0])

    return environment.get_template("report.html.j2").render(
        title=report.title,
        run=report.run,
        chapters={chapter.id: chapter for chapter in chapters},
        caveats=caveats,
        missing=missing,
        anchors={record.folder: f"from-{place}" for place, record in enumerate(report.stages)},
        lines=_lines(report),
        style=source("report.css"),
        script=Markup("\n").join(source(name) for name in SCRIPTS),
        origins=Markup(script_json(_origins(report))),
        trajectories=None if trajectories is None else Markup(trajectories),
        choice=choice,
    )


def _lines(report: Report) -> dict[str, list[str]]:
    """The folders that have learning curves, by method; empty where there is nothing to choose."""
    folders, trained = distinct(curve.folder for curve in report.curves), trained_folders(report)
    found: dict[str, list[str]] = {}
    for folder in folders:
        found.setdefault(method_of(folder, trained), []).append(folder)
    return found if len(folders) > 1 else {}


def _origins(report: Report) -> dict[str, Any]:
    """What the page shows about where a number comes from."""
    folders = {
        record.folder: {
            "stage": record.stage or "",
            **provenance(record),
            "packages": package_versions(record),
        }
        for record in report.stages
    }
    entries = {
        folder: [{"role": origin.role, "folder": origin.folder} for origin in line]
        for folder, line in report.origins.items()
    }
    return {"folders": folders, "origins": entries}
