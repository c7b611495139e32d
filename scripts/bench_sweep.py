"""Two points of a sweep at once against one after the other, one thread each: `python scripts/bench_sweep.py`.

Does two points of a stage both ways in turns, and prints the seconds of each sweep and the ratio. RL points get a small
base and a teacher set first, which takes a minute or two. Give it two cores that nothing else uses.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from collections.abc import Sequence
from contextlib import chdir
from statistics import median

from mentor.cli import main
from scripts.arguments import positive_int

SMALL = ["debug=default", "run=bench", "logger=quiet", "launcher.threads=1"]


def command(*overrides: str) -> float:
    """Run one command and return its seconds. Raises SystemExit where it fails."""
    began = time.monotonic()
    code = main([*overrides, *SMALL])
    if code:
        raise SystemExit(code)
    return time.monotonic() - began


def bench(stage: str, steps: int, rounds: int) -> None:
    if stage == "rl":
        command("stage=pretrain")
        command("stage=rollout")
    seconds: dict[int, list[float]] = {1: [], 2: []}
    for number in range(rounds):
        for jobs in (1, 2) if number % 2 == 0 else (2, 1):
            # a slightly other learning rate makes it a new sweep, not a finished one
            points = [f"stage={stage}", f"trainer.steps={steps}", f"trainer.learning_rate=0.0001{number}{jobs}"]
            seconds[jobs].append(command("-m", *points, "seed=0,1", f"launcher.jobs={jobs}"))
    print(f"one after the other:  {[round(value, 1) for value in seconds[1]]} s")
    print(f"two at once:          {[round(value, 1) for value in seconds[2]]} s")
    print(f"ratio of the medians: {median(seconds[2]) / median(seconds[1]):.2f}")


def parse(argv: Sequence[str] | None = None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--stage", choices=("rl", "pretrain"), default="rl", help="what a point does")
    parser.add_argument("--steps", type=positive_int, default=4, help="training steps of a point")
    parser.add_argument("--rounds", type=positive_int, default=1, help="times each way is measured")
    return parser.parse_args(argv)


if __name__ == "__main__":
    given = parse()
    with tempfile.TemporaryDirectory(prefix="mentor-bench-") as folder, chdir(folder):
        bench(given.stage, given.steps, given.rounds)
