"""The report as Markdown: the same tables as the HTML page, for a terminal or a pull request."""

from __future__ import annotations

import re

from mentor.reporting.tables.table import Cell, Table

SPECIAL = re.compile(r"([\\`*_\[\]|])")


def escape(text: str) -> str:
    """Escape the characters of Markdown and HTML in `text` and put it on one line."""
    safe = text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    return SPECIAL.sub(r"\\\1", safe).replace("\n", " ")


def table_to_markdown(table: Table) -> str:
    alignment = ["---" if index in table.text_columns else "---:" for index in range(len(table.columns))]
    lines = [table.columns, alignment, *([_text(cell) for cell in row] for row in table.rows)]
    cells = [line if line is alignment else [escape(cell) for cell in line] for line in lines]
    return "\n".join("| " + " | ".join(line) + " |" for line in cells)


def _text(cell: Cell) -> str:
    return f"{cell.text} ({cell.note})" if cell.note else cell.text


def to_markdown(
    title: str,
    run: str,
    verdict: list[str],
    picture: bool,
    tables: list[Table],
    missing: list[str],
    caveats: list[str],
    choice: str,
) -> str:
    """Render the report.

    verdict: its sentences. picture: whether there is one of them. choice: the sentence on which trajectories the page
    shows.
    """
    where = f"Run `{run}`. Figures: `figures/`, raw numbers: `results.json`, trajectories: `report.html`."
    parts = [f"# {escape(title)}", escape(verdict[0])]
    parts += ["![accuracy in and out of domain](figures/summary.png)"] if picture else []
    parts += [f"{where} {escape(choice)}", *([escape(" ".join(verdict[1:]))] if verdict[1:] else [])]
    for heading, lines in (("Read with care", caveats), ("Missing", missing)):
        if lines:
            parts += [f"## {heading}", "\n".join(f"- {escape(line)}" for line in lines)]
    for table in tables:
        parts += [f"## {escape(table.title)}", escape(table.caption), table_to_markdown(table)]
    return "\n\n".join(parts) + "\n"
