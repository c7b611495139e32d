"""Write a `Report` as report.html, report.md, results.json and figures/*.png into one folder."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

from mentor.reporting.curves import MAX_POINTS
from mentor.reporting.difference_tables import difference_tables, intro
from mentor.reporting.drawing import Drawing
from mentor.reporting.html import Chapter, to_html
from mentor.reporting.lens_tables import lens_tables
from mentor.reporting.markdown import to_markdown
from mentor.reporting.notes import ALWAYS
from mentor.reporting.page_data import Embedded, embed
from mentor.reporting.records import Report
from mentor.reporting.result_tables import accuracy_tables, detail_table, tool_tables
from mentor.reporting.stage_tables import cost_table, method_cost_table, provenance_table, versions_table
from mentor.reporting.sweep_tables import sweep_tables
from mentor.reporting.tokenizer_files import tokenizer_of
from mentor.reporting.trajectories import Gathered

MAX_PAGE_BYTES = 14_900_000  # of report.html: below 15 MB, a size that every mail and browser takes


def write_report(
    report: Report, drawings: list[Drawing], gathered: Gathered, folder: Path
) -> tuple[list[Path], Embedded]:
    """The three files and the figures; earlier figures in `folder` are removed.

    Returns what was written, and how many trajectories fit into the page.
    """
    chapters = chapters_of(report, drawings)
    notes, missing = report.notes + ALWAYS, report.missing + gathered.missing
    rest = to_html(report, chapters, notes, missing, "", "")
    trajectories = embed(gathered, tokenizer_of, MAX_PAGE_BYTES - len(rest.encode()))
    choice = choice_text(trajectories)
    tables = [table for chapter in chapters for table in chapter.tables]
    values = report.to_dict() | {"missing": missing}
    values["trajectories"] = {"found": trajectories.found, "shown": trajectories.shown}
    texts = {
        "report.html": to_html(report, chapters, notes, missing, trajectories.json, choice),
        "report.md": to_markdown(report.title, report.run, tables, missing, notes, choice),
        "results.json": json.dumps(values, indent=1, ensure_ascii=False, allow_nan=False) + "\n",
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
    return [folder / name for name in texts] + sorted(figures.iterdir()), trajectories


def chapters_of(report: Report, drawings: list[Drawing]) -> list[Chapter]:
    """The parts of the report in the order to read them; the last ones are for looking things up."""

    def drawn(chapter: str) -> list[Drawing]:
        return [drawing for drawing in drawings if drawing.chapter == chapter]

    return [
        Chapter("results", "Results", accuracy_tables(report), drawn("results"), more="Other decoding modes"),
        Chapter(
            "differences",
            "Which differences are real",
            difference_tables(report),
            intro=intro(report),
            more="Other decoding modes, and every test in full",
        ),
        Chapter(
            "curves",
            "Learning curves",
            drawings=drawn("curves"),
            intro="A line is the mean over the training seeds of a method, its band reaches from the lowest to the "
            f"highest seed. A curve of more than {MAX_POINTS} steps is drawn as means of equal blocks of steps; "
            "results.json has every step of every seed.",
            more="All other metrics",
        ),
        Chapter(
            "sweeps",
            "Sweeps",
            sweep_tables(report),
            drawn("sweeps"),
            intro="A setting is what the points of a sweep share beside the seed; n counts its points that are done. "
            "Two swept numbers are drawn as a map, one as a line with a band from the lowest to the highest seed.",
            more="Every point",
        ),
        Chapter(
            "similarity",
            "Tool use and accuracy",
            drawings=drawn("similarity"),
            intro="A point is one model on one split; the line through it is the 95 % interval of its accuracy. Splits "
            "differ in difficulty, so compare points of one split (see the table of all results).",
            more="Other decoding mode",
        ),
        Chapter("tools", "Which tools were called", tool_tables(report), drawn("tools"), more="Other decoding mode"),
        Chapter(
            "lens", "Tool use beside the teacher's", lens_tables(report), more="Other benchmarks and decoding modes"
        ),
        Chapter("cost", "Cost", [method_cost_table(report), cost_table(report)], more="Every stage folder"),
        Chapter("details", "All results", [detail_table(report)], more="Every model, split and decoding mode"),
        Chapter("provenance", "Provenance", [provenance_table(report), versions_table(report)]),
    ]


def choice_text(trajectories: Embedded) -> str:
    """How many of the stored trajectories the page shows, and how they were chosen."""
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
