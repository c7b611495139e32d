#!/usr/bin/env python3
"""Say in three lines what a demo ended with: what improved, where the report is, how to talk to the student.

python scripts/demo_summary.py [--run outputs/demo]
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterable, Mapping
from pathlib import Path
from statistics import fmean
from typing import Any

DOMAINS = {"id": "in domain", "ood": "out of domain"}


def main(arguments: list[str]) -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--run", type=Path, default=Path("outputs/demo"))
    run: Path = parser.parse_args(arguments).run
    stored = run / "report" / "results.json"
    if not stored.is_file():
        raise SystemExit(f"demo_summary: {stored} is not there; `mentor experiment=demo` writes it")
    for line in lines(json.loads(stored.read_text()), run):
        print(line)
    return 0


def lines(results: Mapping[str, Any], run: Path) -> list[str]:
    return [
        f"improved: {'; '.join(improved(results['methods']))} (sampled, one seed)",
        f"the report: {run / 'report' / 'report.html'}",
        f"talk to the student: .venv/bin/mentor stage=chat run={run.name}",
    ]


def improved(methods: Iterable[Mapping[str, Any]]) -> list[str]:
    """Give each domain's mean accuracy over its splits, of the base and of each method in turn."""
    found: dict[str, dict[str, list[float]]] = {}
    for row in sorted(methods, key=lambda row: row["base"] != row["method"]):  # the base first
        if row["setting"] == "sampled" and row["domain"] in DOMAINS:
            found.setdefault(row["domain"], {}).setdefault(row["method"], []).append(row["accuracy"])
    said = []
    for domain, means in found.items():
        percent = [f"{method} {100 * fmean(values):.0f} %" for method, values in means.items()]
        said.append(f"{DOMAINS[domain]} {', '.join(percent)}")
    return said


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
