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
    title: str, run: str, tables: list[Table], missing: list[str], caveats: list[str], trajectories: str
) -> str:
    """Render the report. trajectories: the sentence on which of them the page shows."""
    where = f"Run `{run}`. Figures: `figures/`, raw numbers: `results.json`, trajectories: `report.html`."
    parts = [f"# {escape(title)}", f"{where} {escape(trajectories)}"]
    for heading, lines in (("Read with care", caveats), ("Missing", missing)):
        if lines:
            parts += [f"## {heading}", "\n".join(f"- {escape(line)}" for line in lines)]
    for table in tables:
        parts += [f"## {escape(table.title)}", escape(table.caption), table_to_markdown(table)]
    return "\n\n".join(parts) + "\n"
