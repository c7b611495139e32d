"""Write a `Report` as report.html, report.md, results.json and the main figures (figures/*.png) into one folder."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

from mentor.reporting.figures.rendering import ReportFigure
from mentor.reporting.page.chapters import chapters_of
from mentor.reporting.page.html import to_html
from mentor.reporting.page.markdown import to_markdown
from mentor.reporting.page.page_data import Embedded, embed
from mentor.reporting.read.caveats import ALWAYS
from mentor.reporting.read.records import Report
from mentor.reporting.read.tokenizer_files import tokenizer_of
from mentor.reporting.read.trajectories import Gathered

MAX_PAGE_BYTES = 14_900_000  # of report.html: below 15 MB, a size that every mail and browser takes


def write_report(
    report: Report, figures: list[ReportFigure], gathered: Gathered, folder: Path
) -> tuple[list[Path], Embedded]:
    """Write the three files and the figures; earlier figures in `folder` are removed.

    Returns what was written, and how many trajectories fit into the page.
    """
    chapters = chapters_of(report, figures)
    caveats, missing = report.caveats + ALWAYS, report.missing + gathered.missing
    rest = to_html(report, chapters, caveats, missing, "", "")
    trajectories = embed(gathered, tokenizer_of, MAX_PAGE_BYTES - len(rest.encode()))
    choice = choice_text(trajectories)
    tables = [table for chapter in chapters for table in chapter.tables]
    verdict = [chapters[0].intro, *chapters[0].said]
    picture = any(figure.name == "summary" for figure in figures)
    values = report.to_dict() | {"verdict": verdict} | {"missing": missing}
    values["trajectories"] = {"found": trajectories.found, "shown": trajectories.shown}
    texts = {
        "report.html": to_html(report, chapters, caveats, missing, trajectories.json, choice),
        "report.md": to_markdown(report.title, report.run, verdict, picture, tables, missing, caveats, choice),
        "results.json": json.dumps(values, indent=1, ensure_ascii=False, allow_nan=False) + "\n",
    }
    folder.mkdir(parents=True, exist_ok=True)
    for name, text in texts.items():
        (folder / name).write_text(text, encoding="utf-8")
    images = folder / "figures"
    if images.is_dir():
        shutil.rmtree(images)
    images.mkdir()
    for figure in figures:
        if figure.png is not None:
            (images / f"{figure.name}.png").write_bytes(figure.png)
    return [folder / name for name in texts] + sorted(images.iterdir()), trajectories


def choice_text(trajectories: Embedded) -> str:
    """Say how many of the stored trajectories the page shows and how they were chosen."""
    shown, found, asked = trajectories.shown, trajectories.found, trajectories.asked
    if not found:
        return "This run stored no trajectories."
    if shown == found:
        return f"All {found:,} stored trajectories are shown."
    if not asked:
        return f"0 of {found:,} trajectories shown (stage.trajectories=0)."
    text = (
        f"{shown:,} of {found:,} trajectories shown: about as many from every model in training and in evaluation, of "
        "each from every stored step or split and decoding mode, and of those spread over the file."
    )
    if shown < asked:
        text += f" {asked:,} were to be shown, but no more fit into a page of {MAX_PAGE_BYTES / 1e6:.1f} MB."
    return text
