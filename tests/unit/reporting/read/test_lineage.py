"""Who was trained from whom, and what follows: comparisons with the base, origins of numbers, cautions."""

from pathlib import Path

from mentor.reporting import collect
from mentor.reporting.read.records import Origin
from tests.fixtures.run_folder import make_row, write_eval, write_stage


def make_run(root: Path) -> Path:
    """A hub model, SFT from it, RL from that; RL from a base that is not here; RL that has not said its base yet."""
    write_stage(root, "rollout", "rollout")
    write_stage(root, "sft-s0", "sft", base="Qwen/Qwen3-0.6B")
    write_stage(root, "rl-hub-s0", "rl", base=str(root / "sft-s0" / "model"))
    write_stage(
        root, "rl-other-s3", "rl", base="outputs/demo/pretrain-s3/model", counts={"base": "a/pretrain-s3/model"}
    )
    write_stage(root, "rl-going-s0", "rl", status="running")
    write_eval(root, "Qwen--Qwen3-0.6B", make_row(0.6, 0.5, 0.7))
    write_eval(root, "rl-hub-s0", make_row(0.4, 0.3, 0.45))
    write_eval(root, "rl-other-s3", make_row(0.9, 0.8, 0.95))
    write_eval(root, "rl-going-s0", make_row(0.9, 0.8, 0.95))
    return root


def test_base_is_what_training_started_from(tmp_path: Path) -> None:
    results = collect(make_run(tmp_path / "demo"), "t").results
    assert results[0].model == "Qwen--Qwen3-0.6B", "bases come first"
    bases = {r.model: r.base for r in results}
    assert bases["rl-hub-s0"] == "Qwen--Qwen3-0.6B", "through SFT"
    assert bases["Qwen--Qwen3-0.6B"] == "Qwen--Qwen3-0.6B"
    assert bases["rl-other-s3"] is None, "its base was not evaluated"
    assert bases["rl-going-s0"] is None, "an RL model is nobody's base"


def test_origins_lead_from_the_evaluation_to_the_teacher(tmp_path: Path) -> None:
    origins = collect(make_run(tmp_path / "demo"), "t").origins
    assert origins["eval/rl-hub-s0/calculator"] == [
        Origin("This evaluation", "eval/rl-hub-s0/calculator"),
        Origin("The model", "rl-hub-s0"),
        Origin("Trained from", "sft-s0"),
        Origin("Trained from", "Qwen--Qwen3-0.6B"),
        Origin("The teacher's trajectories", "rollout"),
    ]
    assert [o.folder for o in origins["eval/Qwen--Qwen3-0.6B/calculator"]][1:] == ["Qwen--Qwen3-0.6B"]
    assert origins["eval/rl-other-s3/calculator"][2] == Origin("Trained from", "a/pretrain-s3/model")


def test_a_checkpoint_has_the_base_of_its_stage_and_is_none(tmp_path: Path) -> None:
    root = make_run(tmp_path / "demo")
    write_eval(root, "rl-hub-s0-step-20", make_row(0.3, 0.2, 0.4))
    write_eval(root, "rl-going-s0-step-20", make_row(0.3, 0.2, 0.4))
    write_stage(root, "rl-on-s0", "rl", base=str(root / "rl-hub-s0" / "checkpoints" / "step-00000020" / "model"))
    write_eval(root, "rl-on-s0", make_row(0.3, 0.2, 0.4))
    report = collect(root, "t")
    bases = {result.model: result.base for result in report.results}
    assert bases["rl-on-s0"] == "Qwen--Qwen3-0.6B", "trained from a checkpoint"
    assert bases["rl-hub-s0-step-20"] == "Qwen--Qwen3-0.6B" and bases["rl-going-s0-step-20"] is None
    lines = report.origins["eval/rl-hub-s0-step-20/calculator"]
    assert [origin.folder for origin in lines][1:] == ["rl-hub-s0-step-20", "sft-s0", "Qwen--Qwen3-0.6B", "rollout"]
    assert {"rl-hub", "rl-hub-step-20"} < {method.method for method in report.methods}
