#!/usr/bin/env python3
"""An RL step by phase, beside TRL's GRPOTrainer and another state of this project; the share of the machine's matrix
products that its update reaches.

The step is `mentor stage=rl` itself, with a student of `model=tiny` made for it. All columns have the same student,
questions, tools, prompts (equal token for token, or the script ends), sizes, threads and float32, and take steps in
turns: some of one, some of the next, and again. Process starts and the first step of each process are not counted.
Figures are medians over the steps.

    python scripts/bench_step.py                                    # this project alone
    python scripts/bench_step.py --trl-python trl/bin/python        # beside TRL, of a virtual environment of its own
    python scripts/bench_step.py --before ../before                 # beside another checkout of this project
    python scripts/bench_step.py --threads 1 trainer.lora.rank=8    # keys of stage=rl
    python scripts/bench_step.py --beside "2 x 1=trainer.num_processes=2 launcher.threads=1"   # a column of other keys

For TRL: `python -m venv trl && trl/bin/pip install torch==2.13.0 trl==1.16.0 jmespath`.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory

from mentor.config import SamplerConfig
from scripts.arguments import positive_int
from scripts.benchmark_record import BenchmarkTable, Cell, add_json_option, report
from scripts.step_benchmark.products import LARGE, count_update, rates, student_products, timed_size
from scripts.step_benchmark.steps import (
    PARTS,
    PHASES,
    ROOT,
    STUDENT,
    Prompts,
    Shape,
    Step,
    make_base,
    overrides,
    read_prompts,
    take_ours,
    take_trl,
)

NOW, BEFORE, TRL = "now", "before", "TRL"


def main(arguments: Sequence[str]) -> int:
    settings = parse(arguments)
    shape = Shape(
        settings.prompts,
        settings.group_size,
        settings.minibatches,
        settings.threads,
        settings.processes,
        settings.sampler,
    )
    with TemporaryDirectory(prefix="mentor-bench-") as folder:
        tables, said = bench(Path(folder), shape, settings)
    report(tables, settings.json, said)
    return 0


def parse(arguments: Sequence[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("overrides", nargs="*", metavar="key=value", help="of stage=rl, for this checkout's columns")
    parser.add_argument("--steps", type=positive_int, default=3, help="counted ones of each column in each round")
    parser.add_argument("--rounds", type=positive_int, default=3)
    parser.add_argument("--prompts", type=positive_int, default=32)
    parser.add_argument("--group-size", type=positive_int, default=8)
    parser.add_argument("--minibatches", type=positive_int, default=2)
    parser.add_argument("--threads", type=positive_int, default=2, help="of all processes of a column together")
    parser.add_argument("--processes", type=positive_int, default=1, help="trainer.num_processes of this project")
    parser.add_argument("--sampler", choices=("transformers", "vllm"), default="transformers")
    parser.add_argument("--student", choices=("debug", "tiny"), default="tiny", help="trained for less or more time")
    parser.add_argument("--run", type=Path, metavar="PATH", help="a run whose student and tasks are taken instead")
    parser.add_argument(
        "--beside", type=column, action="append", default=[], metavar="NAME='key=value ...'", help="one more column"
    )
    parser.add_argument("--before", type=Path, metavar="PATH", help="another checkout of this project")
    parser.add_argument("--trl-python", type=Path, metavar="PATH", help="a Python that has trl")
    parser.add_argument("--trl-rows", type=positive_int, default=32, help="of TRL's forward passes in training")
    add_json_option(parser)
    return parser.parse_args(arguments)


def column(text: str) -> tuple[str, list[str]]:
    """Read a column's name and its keys. Raises ArgumentTypeError for anything else."""
    name, _, keys = text.partition("=")
    if name in ("", NOW, BEFORE, TRL) or "=" not in keys:
        raise argparse.ArgumentTypeError(
            f"{text!r} is not accepted; accepted: a name of your own, = and keys of stage=rl"
        )
    return name, keys.split()


def bench(folder: Path, shape: Shape, settings: argparse.Namespace) -> tuple[list[BenchmarkTable], list[str]]:
    """Take the steps of all columns in turns; return the tables of them and what else was found."""
    base = settings.run.resolve() if settings.run else make_base(folder / "base", shape, settings.student == "debug")
    model = base / STUDENT / "model"
    prompts, versions = Prompts(), dict[str, str]()
    stage = Path()

    def now() -> list[Step]:
        nonlocal stage, prompts
        steps, stage = take_ours(ROOT, base, folder / NOW, shape, settings.steps, settings.overrides)
        prompts = read_prompts(stage, shape.prompts)
        return steps

    def other(checkout: Path, keys: list[str]) -> list[Step]:
        return take_ours(checkout, base, folder / "other", shape, settings.steps, keys)[0]

    def trl() -> list[Step]:
        sampling = SamplerConfig()
        limits = {"rows": settings.trl_rows, "turn_tokens": sampling.max_turn_tokens, "turns": sampling.max_turns}
        python = settings.trl_python.absolute()
        steps, found = take_trl(python, base, folder / "trl", shape, settings.steps, prompts, limits)
        versions.update(found)
        return steps

    ways: dict[str, Callable[[], list[Step]]] = {NOW: now}
    ways |= {name: partial(other, ROOT, [*settings.overrides, *keys]) for name, keys in settings.beside}
    ways |= {BEFORE: partial(other, settings.before.resolve(), [])} if settings.before else {}
    ways |= {TRL: trl} if settings.trl_python else {}
    steps: dict[str, list[Step]] = {name: [] for name in ways}
    products = [*LARGE, *student_products(model)]
    measured: dict[str, list[tuple[float, float]]] = {name: [] for name, *_ in products}
    for _ in range(settings.rounds):
        for name, rate in rates(products, shape.threads).items():
            measured[name].append(rate)
        for name, take in ways.items():
            steps[name] += take()
    command = [*overrides(shape, settings.steps), *settings.overrides]
    counted = count_products(command, model, stage)
    tables = [step_table(steps, shape), ratio_table(steps), *product_tables(steps, measured, counted)]
    said = [f"Column `{name}`: {' '.join(keys)}." for name, keys in settings.beside]
    if (tokens := timed_size(stage)) is not None:
        said.append(f"`trainer.micro_batch_tokens=auto` found {tokens:,} in the last run of `now`.")
    return tables, [*remarks(shape, prompts, versions), *said]


def count_products(command: Sequence[str], model: Path, stage: Path) -> dict[str, float]:
    """Count the products of the last step's update, as done and with every row's own prompt, in 10^9 operations."""
    unshared = [*command, "trainer.share_prefixes=false"]
    return {
        "done": count_update(command, model, stage, timed_size(stage)),
        "unshared": count_update(unshared, model, stage),
    }


def step_table(steps: dict[str, list[Step]], shape: Shape) -> BenchmarkTable:
    """Seconds by phase and part, and tokens: the median of each over the steps of a column."""
    rows: list[list[Cell]] = []
    for phase in PHASES:
        rows.append([phase, *(median(step.seconds[phase] for step in taken) for taken in steps.values())])
        for part in PARTS.get(phase, ()):
            cells = [part_median(taken, f"{phase}/{part}") for taken in steps.values()]
            if any(cell != "" for cell in cells):
                rows.append([f"- {part}", *cells])
    rows.append(["whole step", *(median(step.total for step in taken) for taken in steps.values())])
    rows.append(["sampled tokens", *(int(median(step.sampled for step in taken)) for taken in steps.values())])
    rows.append(["trained tokens", *(int(median(step.trained for step in taken)) for taken in steps.values())])
    counts = ", ".join(str(len(taken)) for taken in steps.values())
    title = f"Seconds of a step of {shape.prompts} x {shape.group_size}, medians (of steps: {counts})"
    return BenchmarkTable(title, ("phase", *steps), rows)


def part_median(taken: Sequence[Step], part: str) -> Cell:
    known = [step.seconds[part] for step in taken if part in step.seconds]
    return median(known) if known else ""


def ratio_table(steps: dict[str, list[Step]]) -> BenchmarkTable:
    """How many times as long the other columns take: the ratio of medians, per step and per token."""
    measures: dict[str, Callable[[Step], float]] = {
        "a step": lambda step: step.total,
        "a sampled token": lambda step: step.total / step.sampled,
        "a trained token": lambda step: step.total / step.trained,
        "rollout, a sampled token": lambda step: step.seconds["rollout"] / step.sampled,
        "update, a trained token": lambda step: step.seconds["update"] / step.trained,
    }
    others = [name for name in steps if name != NOW]
    rows: list[list[Cell]] = []
    for measure, of in measures.items():
        medians = {name: median(map(of, taken)) for name, taken in steps.items()}
        rows.append([measure, 1e6 * medians[NOW], *(medians[name] / medians[NOW] for name in others)])
    columns = ("for", "now, microseconds", *(f"{name}, times as long" for name in others))
    return BenchmarkTable("Time of a step and a token", columns, rows)


def product_tables(
    steps: dict[str, list[Step]], measured: dict[str, list[tuple[float, float]]], counted: dict[str, float]
) -> list[BenchmarkTable]:
    """The update's share of two limits, the best rates of the largest products; `before` shares no prompts.

    `torch.mm` is what a program in torch reaches; the policy's layers call a faster library where there is one.
    """
    rates = {name: tuple(map(median, zip(*found, strict=True))) for name, found in measured.items()}
    limits = [max(ways) for ways in zip(*(rates[name] for name, *_ in LARGE), strict=True)]
    rows: list[list[Cell]] = []
    for name, taken in steps.items():
        if name == TRL:
            continue  # whose update has other rows
        seconds = median(step.seconds["update"] for step in taken)
        done = counted["unshared" if name == BEFORE else "done"]
        shares = [f"{100 * gflop / seconds / limit:.0f} %" for gflop in (done, counted["unshared"]) for limit in limits]
        rows.append([name, done, counted["unshared"], done / seconds, *shares])
    ways = "torch.mm's", "the policy's"
    shares_of = [f"{kind}{way}" for kind in ("of ", "as if unshared, of ") for way in ways]
    columns = ("update", "GFLOP done", "GFLOP unshared", "GFLOP/s done", *shares_of)
    title = "Matrix products of the update; the limit is {:.0f} GFLOP/s by torch.mm, {:.0f} by the policy's products"
    products = [(name, *found) for name, found in rates.items()]
    return [
        BenchmarkTable(
            "Matrix products of this machine", ("product", "torch.mm, GFLOP/s", "the policy's, GFLOP/s"), products
        ),
        BenchmarkTable(title.format(*limits), columns, rows),
    ]


def remarks(shape: Shape, prompts: Prompts, versions: dict[str, str]) -> list[str]:
    """Say what the columns have in common, and what TRL does otherwise."""
    lengths = sorted(map(len, prompts.token_ids))
    found = [
        f"Minibatches: {shape.minibatches}; threads: {shape.threads}; processes that train: {shape.processes}; "
        f"sampler={shape.sampler}; prompts of {lengths[0]} to {lengths[-1]} tokens, the calculator's 12 tools.",
        "`rest` is what lies between two steps and in no phase. `trained tokens` are those of the rows that are "
        "trained on, prompts included: groups whose rewards are all equal are left out here, and trained on by TRL.",
    ]
    if versions:
        packages = ", ".join(f"{name} {number}" for name, number in versions.items())
        found.append(
            f"TRL: {packages}; `generate` of transformers and its loop over tool calls. `logprobs` is its scoring of "
            "the trajectories, which gives the ratio's old logprobs with several minibatches, and making the batch. "
            "Prompts were equal token for token."
        )
    return found


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
