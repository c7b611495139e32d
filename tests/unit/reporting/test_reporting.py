"""A hand-made run folder in, three files out that hold the same numbers."""

import json
import re
from pathlib import Path
from typing import Any

import pytest

from mentor.errors import InputError, RunFolderError
from mentor.reporting import collect, draw, write_report
from mentor.reporting.collect import EvalResult, intervals_apart
from mentor.reporting.markdown import escape


def write_json(path: Path, value: Any) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(value), encoding="utf-8")


def write_stage(root: Path, folder: str, stage: str, base: str | None = None, **changes: Any) -> None:
    summary = {
        "stage": stage,
        "status": "done",
        "seed": 0,
        "config_hash": f"hash-{folder}",
        "git_commit": "0123456789abcdef-dirty",
        "versions": {"torch": "2.13.0"},
        "counts": {"base": base} if base else {},
        "seconds": {"rollout": 10.5, "update": 4.25, "total": 16.1},
        "headline": None,
        "started": 86400.0,
        "ended": 86460.0,
    }
    write_json(root / folder / "summary.json", summary | changes)


def write_eval(root: Path, model: str, accuracy: float, low: float, high: float, **changes: Any) -> None:
    row = {
        "split": "test",
        "domain": "id",
        "mode": "sampled",
        "n": 256,
        "accuracy": accuracy,
        "low": low,
        "high": high,
        "valid_call_rate": 0.904,
        "calls_per_answer": 1.377,
        "tool_similarity": 0.8123,
        "stop_reasons": {"answered": 250, "length": 6},
    }
    folder = re.sub(r"[^\w.-]", "_", model)
    summary = {"stage": "eval", "status": "done", "model": model, "benchmark": "calculator", "results": [row | changes]}
    write_json(root / "eval" / folder / "calculator" / "summary.json", summary)


def make_run(root: Path) -> Path:
    write_stage(root, "pretrain-s0", "pretrain")
    (root / "pretrain-s0/metrics.jsonl").write_text('{"step": 1, "loss/train": 3.5}\n{"step": 2, "loss/train": NaN}\n')
    write_stage(root, "rl-flexible-s0", "rl", base="outputs/demo/pretrain-s0/model")
    (root / "rl-flexible-s0/metrics.jsonl").write_text(
        '{"step": 1, "time": 1.0, "reward/mean": 0.25, "rollout/tokens": 12000}\n'
        '{"step": 2, "time": 2.0, "reward/mean": 0.5, "rollout/tokens": 345, "time/a_s": 1.5, "time/b_s": 2}\n'
        '{"step": 3, "rew'
    )
    write_eval(root, "pretrain-s0", 0.283, 0.232, 0.341)
    write_eval(root, "rl-flexible-s0", 0.7277, 0.67, 0.779)
    return root


def outputs(root: Path) -> tuple[str, str, dict[str, Any]]:
    report = collect(root, "A title")
    write_report(report, draw(report), root / "report")
    html, markdown = ((root / "report" / name).read_text(encoding="utf-8") for name in ("report.html", "report.md"))
    return html, markdown, json.loads((root / "report" / "results.json").read_text(encoding="utf-8"))


def test_three_files_hold_the_same_numbers(tmp_path: Path) -> None:
    html, markdown, results = outputs(make_run(tmp_path / "demo"))
    assert [r["model"] for r in results["results"]] == ["pretrain-s0", "rl-flexible-s0"]
    trained = results["results"][1]
    assert (trained["accuracy"], trained["base"], trained["apart_from_base"]) == (0.7277, "pretrain-s0", True)
    stage = next(s for s in results["stages"] if s["folder"] == "rl-flexible-s0")
    assert (stage["steps"], stage["sampled_tokens"], stage["step_seconds"]) == (2, 12345, 3.5)
    accuracy = ["72.8 [67.0, 77.9] ▲", "28.3 [23.2, 34.1]", "yes, above"]
    tool_use = ["90.4", "1.38", "0.812", "256", "answered 250, length 6"]
    cost = ["12,345", "3.5", "16.1", "0123456789ab-dirty", "1970-01-02 00:00:00", "hash-rl-flexible-s0"]
    for cell in accuracy + tool_use + cost:
        assert f">{cell}<" in html, cell
        assert f"| {escape(cell)} |" in markdown, cell
    assert (tmp_path / "demo/report/figures/reward-mean.png").read_bytes().startswith(b"\x89PNG")


def test_page_needs_nothing_else(tmp_path: Path) -> None:
    html, _, _ = outputs(make_run(tmp_path / "demo"))
    assert not re.search(r"<(script|link|img|iframe|object)\b", html)
    assert not re.search(r"""(src|href)=["'](?!#)""", html)
    assert "@import" not in html and "url(http" not in html
    assert "prefers-color-scheme: dark" in html and 'name="viewport"' in html
    assert html.count("#22262b") == 1, "text and axes of the figures take the page's colour"


def test_curves_keep_gaps_and_leave_out_a_half_written_line(tmp_path: Path) -> None:
    report = collect(make_run(tmp_path / "demo"), "t")
    curves = {(c.folder, c.metric): (c.steps, c.values) for c in report.curves}
    assert curves["rl-flexible-s0", "reward/mean"] == ([1, 2], [0.25, 0.5])
    assert curves["rl-flexible-s0", "time/a_s"] == ([2], [1.5])
    assert curves["pretrain-s0", "loss/train"] == ([1, 2], [3.5, None])
    assert any("half-written" in line for line in report.missing)
    names = [drawing.name for drawing in draw(report)]
    others = ["rollout-tokens", "time-a_s", "time-b_s"]
    assert names == ["accuracy-calculator-sampled", "reward-mean", "loss-train", *others]


def test_names_are_escaped_everywhere(tmp_path: Path) -> None:
    root = make_run(tmp_path / "demo")
    write_eval(root, "<script>alert(1)</script>|$x_1$", 0.5, 0.4, 0.6)
    html, markdown, results = outputs(root)
    assert "<script" not in html and "&lt;script&gt;" in html
    assert "<script" not in markdown and "\\|$x\\_1$" in markdown
    assert "<script>alert(1)</script>|$x_1$" in {r["model"] for r in results["results"]}


def test_missing_parts_are_said_not_invented(tmp_path: Path) -> None:
    root = make_run(tmp_path / "demo")
    write_stage(root, "sft-s0", "sft", status="running", counts={}, seconds={}, started=None)
    (root / "rl-sparse-s0").mkdir()
    unknown = {"valid_call_rate": None, "calls_per_answer": None, "tool_similarity": None, "stop_reasons": {}}
    write_eval(root, "rl-flexible-s0", 0.5, 0.4, 0.6, **unknown)
    html, markdown, results = outputs(root)
    missing = results["missing"]
    for start in ("rl-sparse-s0/summary.json:", "sft-s0: the stage is not done (status: running)"):
        assert any(line.startswith(start) for line in missing)
    for start in ("sft-s0/metrics.jsonl:", "eval/sft-s0:"):
        assert any(line.startswith(start) for line in missing)
    for line in missing:
        assert escape(line) in markdown and line in html
    assert "| sft-s0 | running | – | – | – | – | – | – |" in markdown
    assert "40.0, 60.0\\] | – | – | – | – | – |" in markdown


@pytest.mark.parametrize(
    ("low", "high", "expected"),
    [(0.35, 0.45, True), (0.22, 0.23, True), (0.3, 0.5, False), (0.2, 0.24, False), (None, None, None)],
)
def test_apart_means_no_value_in_common(low: float | None, high: float | None, expected: bool | None) -> None:
    def result(low: float | None, high: float | None) -> EvalResult:
        return EvalResult("m", "b", "s", "id", "greedy", 9, 0.3, low, high, None, None, None, {})

    assert intervals_apart(result(low, high), result(0.24, 0.34)) is expected
    assert intervals_apart(result(0.24, 0.34), result(low, high)) is expected


def test_base_is_what_training_started_from(tmp_path: Path) -> None:
    root = make_run(tmp_path / "demo")
    write_eval(root, "Qwen--Qwen3-0.6B", 0.6, 0.5, 0.7)
    write_stage(root, "sft-s0", "sft", base="Qwen/Qwen3-0.6B")
    write_stage(root, "rl-hub-s0", "rl", base=str(root / "sft-s0" / "model"))
    write_eval(root, "rl-hub-s0", 0.4, 0.3, 0.45)
    write_stage(root, "rl-other-s3", "rl", base="outputs/demo/pretrain-s3/model")
    write_eval(root, "rl-other-s3", 0.9, 0.8, 0.95)
    results = {r.model: (r.base, r.apart_from_base) for r in collect(root, "t").results}
    assert results["rl-hub-s0"] == ("Qwen--Qwen3-0.6B", True), "through SFT"
    assert results["Qwen--Qwen3-0.6B"] == ("Qwen--Qwen3-0.6B", None)
    assert results["rl-other-s3"] == (None, None), "its base was not evaluated"
    html, markdown, _ = outputs(root)
    assert "| 40.0 [30.0, 45.0] ▼ |" in markdown.replace("\\", "") and "yes, below" in html


def test_broken_files_are_named(tmp_path: Path) -> None:
    root = make_run(tmp_path / "demo")
    metrics = root / "rl-flexible-s0/metrics.jsonl"
    metrics.write_text('{"step": 1}\nnot json\n{"step": 2}\n')
    with pytest.raises(InputError, match=r"rl-flexible-s0/metrics\.jsonl:2: not a JSON object"):
        collect(root, "t")
    metrics.unlink()
    (root / "pretrain-s0/summary.json").write_text("[]")
    with pytest.raises(RunFolderError, match=r"pretrain-s0/summary\.json is not a summary"):
        collect(root, "t")
