"""docs/performance.md is what the records say."""

import json
from pathlib import Path

import pytest

from scripts import write_performance

RECORD = {
    "benchmark": "bench_calls",
    "command": "python scripts/bench_calls.py",
    "date": "2026-01-02",
    "commit": "0123456789abcdef-dirty",
    "machine": "a processor, 2 cores, 8 GiB",
    "load": 0.25,
    "versions": {"python": "3.11", "torch": "2.13.0", "wandb": "1"},
    "remarks": ["It was warm."],
    "tables": [{"title": "Rates", "columns": ["way", "seconds"], "rows": [["a", 0.5]]}],
}


def test_a_section(tmp_path: Path):
    (tmp_path / "bench_calls.json").write_text(json.dumps(RECORD))
    assert write_performance.page(tmp_path) == write_performance.HEADER + (
        "\n## bench_calls\n\nSeconds that the parser takes to read turns, in each call syntax.\n\n"
        "`python scripts/bench_calls.py`\n\n2026-01-02, commit 0123456789 with changes, load 0.25. "
        "a processor, 2 cores, 8 GiB; python 3.11, torch 2.13.0.\n\n"
        "**Rates**\n\n| way | seconds |\n|---|---|\n| a | 0.500 |\n\n- It was warm.\n"
    )


def test_the_page_is_up_to_date(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]):
    assert write_performance.main(["--check"]) == 0, "run python scripts/write_performance.py"
    copy = tmp_path / "performance.md"
    copy.write_text(write_performance.PAGE.read_text(encoding="utf-8") + "1.3 times as fast\n")
    monkeypatch.setattr(write_performance, "PAGE", copy)
    assert write_performance.main(["--check"]) == 1 and write_performance.main([]) == 0
    assert write_performance.main(["--check"]) == 0
    assert write_performance.main(["--chekc"]) == 2
    assert len(capsys.readouterr().err.splitlines()) == 2
