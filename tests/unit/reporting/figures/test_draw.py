"""Which figures a run has, in which order."""

from pathlib import Path

from mentor.reporting import collect
from mentor.reporting.figures.draw import draw
from mentor.reporting.figures.rendering import COLORS
from tests.fixtures.run_folder import (
    evaluation_record,
    make_row,
    make_trajectory,
    training_record,
    write_eval,
    write_lines,
    write_stage,
)


def make_run(root: Path) -> Path:
    write_stage(root, "pretrain-s0", "pretrain")
    (root / "pretrain-s0/metrics.jsonl").write_text('{"step": 1, "loss/train": 3.5}\n{"step": 2, "loss/train": NaN}\n')
    write_stage(root, "rl-flexible-s0", "rl", base="outputs/demo/pretrain-s0/model")
    (root / "rl-flexible-s0/metrics.jsonl").write_text(
        '{"step": 1, "time": 1.0, "reward/mean": 0.25, "rollout/tokens": 12000}\n'
        '{"step": 2, "time": 2.0, "reward/mean": 0.5, "rollout/tokens": 345, "time/a_s": 1.5, "time/b_s": 2}\n'
        '{"step": 3, "rew'
    )
    write_lines(
        root / "rl-flexible-s0/trajectories/trajectories.jsonl", [training_record(make_trajectory(), step=1)] * 3
    )
    write_eval(root, "pretrain-s0", make_row(0.283, 0.232, 0.341))
    evaluated = write_eval(root, "rl-flexible-s0", make_row(0.7277, 0.67, 0.779))
    write_lines(evaluated / "items.jsonl", [evaluation_record(make_trajectory("t1"))] * 2)
    return root


def test_figures_in_the_order_to_show_them_each_method_in_one_colour(tmp_path: Path) -> None:
    figures = draw(collect(make_run(tmp_path / "demo"), "t"))
    curves = ["reward-mean", "loss-train", "rollout-tokens", "time-a_s", "time-b_s"]
    assert [figure.name for figure in figures] == [
        *("accuracy-id-sampled", *curves, "similarity-sampled", "tools-calculator-sampled")
    ]
    assert all(COLORS[1] in figure.svg for figure in figures if figure.name in ("accuracy-id-sampled", "reward-mean"))
