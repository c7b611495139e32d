"""Write a `Report` as report.html, report.md, results.json and figures/*.png into one folder."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

from mentor.reporting.collect import Report
from mentor.reporting.figures import Drawing
from mentor.reporting.html import to_html
from mentor.reporting.markdown import to_markdown
from mentor.reporting.tables import accuracy_tables, cost_table, detail_table, provenance_table, versions_table

ALWAYS = [
    "The intervals say how sure the accuracy on these questions is for one checkpoint; they leave out how much it "
    "moves between training seeds and checkpoints. Many comparisons at 95 % make a chance difference likely somewhere.",
    "A gain of RL over its base can be elicitation of what the base already does at times; compare with SFT on the "
    "same teacher trajectories before crediting a reward.",
]
"""Cautions that hold for every run; those that depend on the run are `Report.notes`."""


def write_report(report: Report, drawings: list[Drawing], folder: Path) -> list[Path]:
    """The three files and the figures; earlier figures in `folder` are removed. Returns what was written."""
    headline = accuracy_tables(report)
    details = [cost_table(report), detail_table(report), provenance_table(report), versions_table(report)]
    notes = report.notes + ALWAYS
    texts = {
        "report.html": to_html(report.title, report.run, headline, details, drawings, report.missing, notes),
        "report.md": to_markdown(report.title, report.run, headline + details, report.missing, notes),
        "results.json": json.dumps(report.to_dict(), indent=1, ensure_ascii=False, allow_nan=False) + "\n",
    }
    folder.mkdir(parents=True, exist_ok=True)
    for name, text in texts.items():
        (folder / name).write_text(text, encoding="utf-8")
    figures = folder / "figures"
    if figures.is_dir():
        shutil.rmtree(figures)
    figures.mkdir()
    for drawing in drawings:
        (figures / f"{drawing.name}.png").write_bytes(drawing.png)
    return [folder / name for name in texts] + sorted(figures.iterdir())
