"""Two points of a sweep at once against one after the other, one thread each: `python scripts/bench_sweep.py`.

Makes a small base and a teacher set, then does two RL points both ways in turns, and prints the seconds of each sweep
and the ratio. Give it two cores that nothing else uses.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from contextlib import chdir

from mentor.cli import main

SMALL = ["debug=default", "run=bench", "logger=quiet", "launcher.threads=1"]


def command(*overrides: str) -> float:
    """Seconds of one command. Raises SystemExit where it fails."""
    began = time.monotonic()
    code = main([*overrides, *SMALL])
    if code:
        raise SystemExit(code)
    return time.monotonic() - began


def bench(steps: int, rounds: int) -> None:
    command("stage=pretrain")
    command("stage=rollout")
    seconds: dict[int, list[float]] = {1: [], 2: []}
    for number in range(rounds):
        for jobs in (1, 2) if number % 2 == 0 else (2, 1):
            points = ["stage=rl", f"trainer.steps={steps}", "reward.weights.tool=0.1,0.3", f"seed={number}"]
            # another learning rate by a hair: a sweep of its own, not the one that is done
            seconds[jobs].append(command("-m", *points, f"launcher.jobs={jobs}", f"trainer.learning_rate=0.0001{jobs}"))
    one, two = (sorted(seconds[jobs])[rounds // 2] for jobs in (1, 2))
    print(f"one after the other: {[round(value, 1) for value in seconds[1]]} s")
    print(f"two at once:         {[round(value, 1) for value in seconds[2]]} s")
    print(f"ratio of the medians: {two / one:.2f}")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--steps", type=int, default=4, help="RL steps of a point")
    parser.add_argument("--rounds", type=int, default=1, help="times each way is measured")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="mentor-bench-") as folder, chdir(folder):
        bench(given.steps, given.rounds)
