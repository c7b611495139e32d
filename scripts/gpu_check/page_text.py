"""The check as one JSON file and as a page in Markdown."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

from scripts.gpu_check.measuring import Figure
from scripts.gpu_check.part_process import PartResult


def as_json(machine: dict[str, Any], outcomes: Sequence[PartResult]) -> dict[str, Any]:
    parts = [
        {**asdict(outcome), "figures": [{**asdict(figure), "ok": figure.ok} for figure in outcome.figures]}
        for outcome in outcomes
    ]
    return {"machine": machine, "parts": parts}


def page(machine: dict[str, Any], outcomes: Sequence[PartResult]) -> str:
    """Write the page: the machine, a line for every part, and every part's figures."""
    lines = ["# GPU check", "", *(f"- {key}: {value}" for key, value in machine.items()), ""]
    lines += ["| part | | s | |", "|---|---|---|---|"]
    for outcome in outcomes:
        lines.append(f"| {outcome.part} | {outcome.status} | {outcome.seconds:.0f} | {_cell(outcome.reason)} |")
    for outcome in outcomes:
        if outcome.figures or outcome.remarks:
            lines += ["", f"## {outcome.part}", ""]
        if outcome.figures:
            lines += ["| figure | value | meant to be | |", "|---|---|---|---|", *map(_row, outcome.figures)]
        lines += ["", *(f"- {remark}" for remark in outcome.remarks)] if outcome.remarks else []
    return "\n".join([*lines, ""])


def line(outcome: PartResult) -> str:
    """Describe an outcome in one line for the console."""
    off = [f"{figure.name} {_number(figure.value)}" for figure in outcome.figures if not figure.ok]
    said = f": {outcome.reason or '; '.join(off)}" if outcome.reason or off else ""
    return f"{outcome.status:10} {outcome.seconds:6.1f} s  {outcome.part}{said}"


def _row(figure: Figure) -> str:
    meant = " to ".join(f"{bound:g}" for bound in (figure.low, figure.high) if bound is not None)
    meant = f"up to {meant}" if figure.low is None and figure.high is not None else meant
    return f"| {figure.name} | {_number(figure.value)} {figure.unit} | {meant} | {'' if figure.ok else '**off**'} |"


def _number(value: float) -> str:
    return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.3g}"


def _cell(text: str) -> str:
    return text.replace("|", "\\|")
