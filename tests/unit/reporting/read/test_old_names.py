"""Metrics and summary keys of earlier versions under their current names."""

import json
from pathlib import Path

from mentor.reporting import collect, draw, gather, write_report
from mentor.reporting.read.old_names import RENAMED, current_name, with_current_names
from tests.fixtures.run_folder import make_row, write_eval, write_lines, write_stage


def test_a_key_or_its_area_is_renamed() -> None:
    assert current_name("lens") == "tool_use" and current_name("lens/bag_f1") == "tool_use/bag_f1"
    assert current_name("alarm/dead_groups") == "alarm/zero_variance"
    assert [current_name(name) for name in ("alarm/all_fail", "reward/mean", "step", "a/lens")] == [
        *("alarm/all_fail", "reward/mean", "step", "a/lens")
    ]
    assert not {current_name(name) for name in RENAMED} & RENAMED.keys()


def test_values_keep_their_own_keys_and_the_current_key_wins() -> None:
    row = {"lens": {"bag_f1": 0.5}, "tools": {"student": {"lens": 2}}}
    assert with_current_names(row) == {"tool_use": {"bag_f1": 0.5}, "tools": {"student": {"lens": 2}}}
    assert with_current_names({"tool_use": 1, "lens": 2}) == {"tool_use": 1}


def test_a_run_of_an_earlier_version_is_reported(tmp_path: Path) -> None:
    """A run folder as versions before 0.3.0 left it: `lens` in rows of results and metrics, `alarm/dead_groups`."""
    root = tmp_path / "old"
    alarms = {"alarm/all_fail": 0, "alarm/dead_groups": 2}
    write_stage(root, "rl-x-s0", "rl", counts={"base": "some/base", "alarms": alarms})
    steps = [{"step": n, "lens/bag_f1": 0.25 * n, "alarm/dead_groups": 1, "reward/mean": 0.5} for n in (1, 2)]
    write_lines(root / "rl-x-s0/metrics.jsonl", steps)
    write_eval(root, "rl-x-s0", make_row(0.5, 0.4, 0.6, lens={"bag_f1": 0.75, "first_divergent_turn": None}))
    report = collect(root, "t")
    assert report.results[0].tool_use == {"bag_f1": 0.75, "first_divergent_turn": None}
    curves = {curve.metric: curve.values for curve in report.curves}
    assert curves["tool_use/bag_f1"] == [0.25, 0.5] and curves["alarm/zero_variance"] == [1, 1]
    assert not [metric for metric in curves if metric.startswith("lens/") or metric == "alarm/dead_groups"]
    assert report.stages[0].counts["alarms"] == {"alarm/all_fail": 0, "alarm/zero_variance": 2}
    assert "rl-x-s0: an alarm was on in 2 steps (alarm/zero_variance): most groups had equal rewards" in "".join(
        report.caveats
    )
    write_report(report, draw(report), gather(root, 0), root / "report")
    assert "| rl-x | 0.750 | – |" in (root / "report/report.md").read_text()
    assert json.loads((root / "report/results.json").read_text())["results"][0]["tool_use"]["bag_f1"] == 0.75
