"""Two points of a sweep at once against one after the other, one thread each.

    python scripts/bench_sweep.py [--stage rl] [--steps 4] [--rounds 1] [--json PATH]

Does two points of a stage both ways in turns, and prints the median seconds of the sweep and the ratio. RL points get a
small base and a teacher set first, which takes a minute or two. Give it two cores that nothing else uses.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from collections.abc import Mapping, Sequence
from contextlib import chdir
from statistics import median

from mentor.cli import main
from scripts.arguments import positive_int
from scripts.benchmark_record import BenchmarkTable, add_json_option, report

SMALL = ["debug=default", "run=bench", "logger=quiet", "launcher.threads=1"]


def command(*overrides: str) -> float:
    """Run one command and return its seconds. Raises SystemExit where it fails."""
    began = time.monotonic()
    code = main([*overrides, *SMALL])
    if code:
        raise SystemExit(code)
    return time.monotonic() - began


def bench(stage: str, steps: int, rounds: int) -> dict[int, list[float]]:
    """Sweep both ways in turns, in the working directory: the seconds of each sweep, by the points at once."""
    if stage == "rl":
        command("stage=pretrain")
        command("stage=rollout")
    seconds: dict[int, list[float]] = {1: [], 2: []}
    for number in range(rounds):
        for jobs in (1, 2) if number % 2 == 0 else (2, 1):
            # a slightly other learning rate makes it a new sweep, not a finished one
            points = [f"stage={stage}", f"trainer.steps={steps}", f"trainer.learning_rate=0.0001{number}{jobs}"]
            seconds[jobs].append(command("-m", *points, "seed=0,1", f"launcher.jobs={jobs}"))
    return seconds


def table(seconds: Mapping[int, Sequence[float]], stage: str, steps: int) -> BenchmarkTable:
    first = median(seconds[1])
    rows = [
        (way, median(seconds[jobs]), min(seconds[jobs]), max(seconds[jobs]), median(seconds[jobs]) / first)
        for jobs, way in ((1, "one after the other"), (2, "two at once"))
    ]
    columns = "way", "median, s", "least, s", "most, s", "of one after the other"
    return BenchmarkTable(f"Two points of stage={stage}, {steps} steps each", columns, rows)


def parse(argv: Sequence[str] | None = None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--stage", choices=("rl", "pretrain"), default="rl", help="what a point does")
    parser.add_argument("--steps", type=positive_int, default=4, help="training steps of a point")
    parser.add_argument("--rounds", type=positive_int, default=1, help="times each way is measured")
    add_json_option(parser)
    return parser.parse_args(argv)


if __name__ == "__main__":
    given = parse()
    with tempfile.TemporaryDirectory(prefix="mentor-bench-") as folder, chdir(folder):
        measured = bench(given.stage, given.steps, given.rounds)
    report([table(measured, given.stage, given.steps)], given.json)
