"""What a benchmark prints and records."""

import json
import sys
from pathlib import Path

import pytest

from scripts.benchmark_record import BenchmarkTable, as_markdown, as_text, cell_text, report, shown_arguments

TABLE = BenchmarkTable("Rates", ("way", "count", "seconds"), [("a", 12345, 0.5), ("longer", 7, 123.4567891)])


def test_a_table_as_text_and_as_markdown():
    assert as_text(TABLE) == "Rates\nway      count  seconds\na       12,345    0.500\nlonger       7      123\n"
    rows = "| way | count | seconds |\n|---|---|---|\n| a | 12,345 | 0.500 |\n| longer | 7 | 123 |\n"
    assert as_markdown(vars(TABLE)) == f"**Rates**\n\n{rows}"


@pytest.mark.parametrize(
    ("cell", "text"),
    [("x", "x"), (1234, "1,234"), (0, "0"), (1234.5, "1,234"), (99.96, "100.0"), (1.234, "1.23"), (0.0104, "0.010")]
    + [(0.000123, "0.00012"), (-2.345, "-2.35"), (0.0, "0")],
)
def test_a_cell(cell: str | int | float, text: str):
    assert cell_text(cell) == text


def test_a_record_names_the_command_without_the_folders_of_this_machine(tmp_path: Path, monkeypatch, capsys):
    path = tmp_path / "new" / "record.json"
    monkeypatch.setattr(sys, "argv", ["/home/x/scripts/bench_it.py", "--rounds", "2", "--json", str(path)])
    report([TABLE], path, ["It was warm."])
    assert capsys.readouterr().out == as_text(TABLE) + "\nIt was warm.\n"
    found = json.loads(path.read_text())
    assert (found["benchmark"], found["command"]) == ("bench_it", "python scripts/bench_it.py --rounds 2")
    assert found["tables"] == [
        {"title": "Rates", "columns": ["way", "count", "seconds"], "rows": [["a", 12345, 0.5], ["longer", 7, 123.457]]}
    ]
    assert found["remarks"] == ["It was warm."] and " cores, " in found["machine"] and found["load"] >= 0
    assert {"date", "commit", "versions"} <= found.keys()
    report([TABLE], None)  # prints alone


def test_shown_arguments():
    given = ["--before=/a/b", "/c/d.py", "data/x.jsonl", "--json=/e", "key=/f/g", "--json", "h", "--last"]
    assert shown_arguments(given) == ["--before=.../b", ".../d.py", "data/x.jsonl", "key=.../g", "--last"]
