"""What a benchmark leaves: its tables as text, and with --json PATH as a record that docs/performance.md is made from.

A record is one JSON object: `benchmark` (the script's name), `command`, `date`, `commit`, `machine`, `load` (processes
that wanted a core in the minute before the start, so those of others), `versions`, `remarks` (sentences) and `tables`,
each {`title`, `columns`, `rows`}. A cell is text or a number; a number is written with three digits or more.
"""

from __future__ import annotations

import json
import os
import sys
from argparse import ArgumentParser
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from mentor.files import write_file
from mentor.runs.provenance import git_commit, versions

LOAD_AT_START = os.getloadavg()[0]
ROOT = Path(__file__).parents[1]
CODE = ("mentor", "scripts", "conf")

Cell = str | int | float


@dataclass(frozen=True)
class BenchmarkTable:
    title: str
    columns: Sequence[str]
    rows: Sequence[Sequence[Cell]]


def add_json_option(parser: ArgumentParser) -> None:
    parser.add_argument("--json", type=Path, metavar="PATH", help="also write a record of the tables there")


def report(tables: Sequence[BenchmarkTable], path: Path | None, remarks: Sequence[str] = ()) -> None:
    """Print the tables and remarks; write a record of them where a path is given."""
    sys.stdout.write("\n".join([*map(as_text, tables), *(f"{remark}\n" for remark in remarks)]))
    if path is not None:
        path.parent.mkdir(parents=True, exist_ok=True)
        write_file(path, json.dumps(record(tables, remarks), indent=1, ensure_ascii=False) + "\n")


def record(tables: Sequence[BenchmarkTable], remarks: Sequence[str]) -> dict[str, Any]:
    script = Path(sys.argv[0])
    return {
        "benchmark": script.stem,
        "command": f"python scripts/{script.name} {' '.join(shown_arguments(sys.argv[1:]))}".strip(),
        "date": datetime.now(UTC).date().isoformat(),
        "commit": git_commit(ROOT, CODE),
        "machine": machine(),
        "load": round(LOAD_AT_START, 1),
        "versions": versions(),
        "remarks": list(remarks),
        "tables": [{**asdict(table), "rows": [list(map(rounded, row)) for row in table.rows]} for table in tables],
    }


def rounded(cell: Cell) -> Cell:
    return float(f"{cell:.6g}") if isinstance(cell, float) else cell


def shown_arguments(arguments: Sequence[str]) -> list[str]:
    """Leave out where the record goes, and of absolute paths all but the last part."""
    shown: list[str] = []
    rest = iter(arguments)
    for argument in rest:
        key, equals, value = argument.rpartition("=")
        if argument == "--json":
            next(rest, None)
        elif key != "--json":
            shown.append(f"{key}{equals}.../{Path(value).name}" if value.startswith("/") else argument)
    return shown


def machine() -> str:
    """Name the processor, the cores that this process may use, the memory, and the GPU if there is one."""
    import torch

    described = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    names = [line.partition(":")[2].strip() for line in described if line.startswith("model name")]
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    parts = [names[0] if names else "a processor", f"{len(os.sched_getaffinity(0))} cores", f"{memory:.0f} GiB"]
    return ", ".join([*parts, *([torch.cuda.get_device_name()] if torch.cuda.is_available() else [])])


def as_text(table: BenchmarkTable) -> str:
    """Write a table for a terminal: text to the left, numbers to the right."""
    rows = [list(table.columns), *(list(map(cell_text, row)) for row in table.rows)]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    numbers = [
        all(row[place] == "" or not isinstance(row[place], str) for row in table.rows) for place in range(len(widths))
    ]
    lines = [
        "  ".join(
            text.rjust(width) if number else text.ljust(width)
            for text, width, number in zip(row, widths, numbers, strict=True)
        ).rstrip()
        for row in rows
    ]
    return "\n".join([table.title, *lines]) + "\n"


def as_markdown(table: Mapping[str, Any]) -> str:
    """Write a table of a record for a page."""
    cells = [table["columns"], *([cell_text(cell) for cell in row] for row in table["rows"])]
    lines = [f"| {' | '.join(row)} |" for row in cells]
    return "\n".join([f"**{table['title']}**\n", lines[0], f"|{'---|' * len(table['columns'])}", *lines[1:]]) + "\n"


def cell_text(cell: Cell) -> str:
    if isinstance(cell, str):
        return cell
    if isinstance(cell, int) or abs(cell) >= 100:
        return f"{cell:,.0f}"
    digits = next((digits for digits, least in ((1, 10), (2, 1), (3, 0.01)) if abs(cell) >= least), None)
    return f"{cell:.2g}" if digits is None else f"{cell:.{digits}f}"
