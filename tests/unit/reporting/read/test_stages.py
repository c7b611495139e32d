"""Stage folders as records with sums over their steps, and their curves."""

from pathlib import Path

from mentor.reporting.read.stages import learning_curves, read_stages, stage_record
from tests.fixtures.run_folder import write_lines, write_stage


def test_sums_are_over_the_steps_that_logged_the_metric() -> None:
    rows = [
        {"step": 1, "rollout/tokens": 100, "policy/tokens": 300, "policy/updates": 2, "time/rollout_s": 1.5}
        | {"time/rollout/decode_s": 1.0},
        {"step": 2, "rollout/tokens": 50, "policy/updates": 1, "time/update_s": 0.5, "rollout/correct": None},
    ]
    record = stage_record("rl-x-s0", {"stage": "rl", "seed": 3}, rows)
    assert (record.folder, record.stage, record.seed, record.steps) == ("rl-x-s0", "rl", 3, 2)
    assert (record.sampled_tokens, record.trained_tokens, record.updates) == (150, 300, 3)
    assert (record.step_seconds, record.correct, record.counts) == (2.0, None, {})
    sft = stage_record("sft-s0", {"stage": "sft"}, [{"step": 1, "tokens/trained": 40}] * 4)
    assert (sft.updates, sft.trained_tokens) == (4, 160), "one update a step"
    assert stage_record("rollout", {"stage": "rollout"}, []).steps is None


def test_a_curve_per_metric_in_order_of_appearance() -> None:
    rows = [{"step": 1, "time": 9.0, "b/x": 1.0, "a/text": "no"}, {"step": 2, "b/x": None, "a/y": 2}]
    curves = learning_curves("f", rows)
    assert [(curve.metric, curve.steps, curve.values) for curve in curves] == [
        ("b/x", [1, 2], [1.0, None]),
        ("a/y", [2], [2]),
    ]


def test_stage_folders_are_those_that_are_no_evaluation_report_or_sweep(tmp_path: Path) -> None:
    for folder in ("rollout", "sft-s0", "eval", "report", "sweeps", ".locks"):
        write_stage(tmp_path, folder, "sft" if folder == "sft-s0" else folder)
    write_stage(tmp_path, "rl-x-s0", "rl")
    write_lines(tmp_path / "rl-x-s0/metrics.jsonl", [{"step": 1, "reward/mean": float("nan")}])
    missing: list[str] = []
    stages, curves = read_stages(tmp_path, missing)
    assert [record.folder for record in stages] == ["rl-x-s0", "rollout", "sft-s0"]
    assert [(curve.folder, curve.values) for curve in curves] == [("rl-x-s0", [None])]
    assert missing == [
        "rl-x-s0/trajectories/trajectories.jsonl: no trajectories to look at",
        "sft-s0/metrics.jsonl: no learning curve",
    ]
    assert read_stages(tmp_path / "none", missing) == ([], [])
