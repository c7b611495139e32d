"""A hand-made run folder is read: gaps and half-written lines stay visible, broken files are named."""

from pathlib import Path

import pytest

from mentor.errors import InputError, RunFolderError
from mentor.reporting import collect
from tests.fixtures.run_folder import (
    make_run,
    write_stage,
)


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


def test_curves_keep_gaps_and_leave_out_a_half_written_line(tmp_path: Path) -> None:
    report = collect(make_run(tmp_path / "demo"), "t")
    curves = {(c.folder, c.metric): (c.steps, c.values) for c in report.curves}
    assert curves["rl-flexible-s0", "reward/mean"] == ([1, 2], [0.25, 0.5])
    assert curves["rl-flexible-s0", "time/a_s"] == ([2], [1.5])
    assert curves["pretrain-s0", "loss/train"] == ([1, 2], [3.5, None])
    assert any("half-written" in line for line in report.missing)


def test_stages_by_their_start_then_evaluations_and_what_was_not_evaluated(tmp_path: Path) -> None:
    root = make_run(tmp_path / "demo")
    write_stage(root, "rollout", "rollout", started=1.0)
    write_stage(root, "sft-s0", "sft", base=str(root / "pretrain-s0" / "model"), started=None)
    report = collect(root, "A title")
    assert (report.title, report.run, len(report.methods)) == ("A title", "demo", 2)
    assert [record.folder for record in report.stages] == [
        *("rollout", "pretrain-s0", "rl-flexible-s0", "sft-s0"),
        *("eval/pretrain-s0/calculator", "eval/rl-flexible-s0/calculator"),
    ]
    assert "eval/sft-s0: this model was not evaluated" in report.missing
