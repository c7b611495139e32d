"""A hand-made run folder in, three files out that hold the same numbers."""

import json
import re
from pathlib import Path
from typing import Any

from mentor.reporting import collect, draw, gather, write_report
from mentor.reporting.page.markdown import escape
from tests.fixtures.run_folder import (
    make_row,
    make_run,
    write_eval,
    write_stage,
)


def outputs(root: Path) -> tuple[str, str, dict[str, Any]]:
    report = collect(root, "A title")
    write_report(report, draw(report), gather(root, 4), root / "report")
    html, markdown = ((root / "report" / name).read_text(encoding="utf-8") for name in ("report.html", "report.md"))
    return html, markdown, json.loads((root / "report" / "results.json").read_text(encoding="utf-8"))


def test_three_files_hold_the_same_numbers(tmp_path: Path) -> None:
    html, markdown, results = outputs(make_run(tmp_path / "demo"))
    assert [r["model"] for r in results["results"]] == ["pretrain-s0", "rl-flexible-s0"]
    trained = results["results"][1]
    assert (trained["accuracy"], trained["base"]) == (0.7277, "pretrain-s0")
    stage = next(s for s in results["stages"] if s["folder"] == "rl-flexible-s0")
    assert (stage["steps"], stage["sampled_tokens"], stage["step_seconds"]) == (2, 12345, 3.5)
    accuracy = ["72.8 [67.0, 77.9]", "28.3 [23.2, 34.1]"]
    tool_use = ["90.4", "1.38", "0.812", "256", "answered 250, length 6"]
    cost = ["12,345", "3.5", "16.1", "0123456789ab-dirty", "1970-01-02 00:00:00", "hash-rl-flexible-s0"]
    for cell in accuracy + tool_use + cost:
        assert f">{cell}<" in html, cell
        assert f"| {escape(cell)} |" in markdown, cell
    assert "4 of 5 trajectories shown" in html and "4 of 5 trajectories shown" in markdown
    assert results["trajectories"] == {"found": 5, "shown": 4}
    assert trained["tools"]["student"] == {"add": 30, "divide": 5}
    assert "| add | 20 | 30 | 30 |" in markdown and "| all | 40 | 35 | 35 |" in markdown
    assert (tmp_path / "demo/report/figures/reward-mean.png").read_bytes().startswith(b"\x89PNG")


def test_page_needs_nothing_else(tmp_path: Path) -> None:
    html, _, _ = outputs(make_run(tmp_path / "demo"))
    assert not re.search(r"<(link|img|iframe|object)\b", html)
    assert not re.search(r"""\s(src|href)=["'](?!#)""", html)
    assert "@import" not in html and "url(http" not in html
    assert "prefers-color-scheme: dark" in html and 'name="viewport"' in html
    assert html.count("#22262b") == 1, "text and axes of the figures take the page's colour"


def test_names_are_escaped_everywhere(tmp_path: Path) -> None:
    root = make_run(tmp_path / "demo")
    write_eval(root, "<script>alert(1)</script>|$x_1$", make_row(0.5, 0.4, 0.6))
    html, markdown, results = outputs(root)
    assert "<script>alert" not in html and "&lt;script&gt;alert" in html
    assert "<script" not in markdown and "\\|$x\\_1$" in markdown
    assert "<script>alert(1)</script>|$x_1$" in {r["model"] for r in results["results"]}


def test_missing_parts_are_said_not_invented(tmp_path: Path) -> None:
    root = make_run(tmp_path / "demo")
    write_stage(root, "sft-s0", "sft", status="running", counts={}, seconds={}, started=None)
    (root / "rl-sparse-s0").mkdir()
    unknown = {"valid_call_rate": None, "calls_per_answer": None, "tool_similarity": None, "stop_reasons": {}}
    row = make_row(0.5, 0.4, 0.6, **unknown)
    del row["tools"]
    write_eval(root, "rl-flexible-s0", row)
    html, markdown, results = outputs(root)
    missing = results["missing"]
    for start in ("rl-sparse-s0/summary.json:", "sft-s0: the stage is not done (status: running)"):
        assert any(line.startswith(start) for line in missing)
    for start in ("sft-s0/metrics.jsonl:", "eval/sft-s0:", "eval/rl-flexible-s0/calculator: no calls per tool"):
        assert any(line.startswith(start) for line in missing)
    for line in missing:
        assert escape(line) in markdown and line in html
    assert "| sft-s0 | running | – | – | – | – | – | – | – | – |" in markdown
    assert "40.0, 60.0\\] | – | – | – | – | – |" in markdown
