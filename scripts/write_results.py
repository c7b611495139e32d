#!/usr/bin/env python3
"""Write the results of the experiments: docs/results.md, a page of each below docs/results/, and the README's table.

    python scripts/write_results.py paper_tiny outputs/paper_tiny_shy outputs/paper_tiny_capable  # read these runs
    python scripts/write_results.py --add paper_tiny outputs/paper_tiny_unskilled  # and keep the other bases stored
    python scripts/write_results.py                    # write all texts again from what is stored
    python scripts/write_results.py --check            # exit code 1 where they are not up to date

A run is read whole, the evaluated points of its sweeps pooled as in its report. What the texts need of it goes into
docs/results/<experiment>/results.json first, the score of every question included, and they are made from that file
alone: they can be checked, and bases added, without the runs. The tests are those of the report.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from mentor.errors import InputError, MentorError
from mentor.reporting.tables.verdict import lead
from scripts.results.comparison import Comparison, compare_configurations, label
from scripts.results.pictures import picture_lines, pictures
from scripts.results.stored import BaseResults, load, read_run, to_json
from scripts.results.texts import RULE, accuracies, domains, mean_accuracies, page, when

ROOT = Path(__file__).parents[1]
STORED, INDEX, README = ROOT / "docs" / "results", ROOT / "docs" / "results.md", ROOT / "README.md"
START, END = "<!-- made by scripts/write_results.py -->", "<!-- end of what it made -->"


@dataclass(frozen=True)
class Experiment:
    """How an experiment is shown. about: what it compares. recipe: its heading in docs/recipes.md."""

    title: str
    command: str
    about: str
    recipe: str


EXPERIMENTS = {
    "paper_tiny": Experiment(
        "Where a teacher's guidance helps",
        "mentor -m experiment=paper_tiny model=tiny_shy seed=0,1,2,3,4",
        "and so for each base: all ways to train from one base, with the same teacher set, steps and trajectories",
        "compare-all-ways-to-train-over-bases",
    ),
    "paper_tiny_small": Experiment(
        "Where a teacher's guidance helps, in small",
        "mentor -m experiment=paper_tiny_small model=tiny_shy,tiny_unskilled seed=0,1,2",
        "four rewards from each of two bases, with the same teacher set, steps and trajectories",
        "compare-all-ways-to-train-over-bases",
    ),
    "rare_success": Experiment(
        "Rewards where success is rare",
        "mentor -m experiment=rare_success seed=0,1,2",
        "chains of 4 and 5 tool calls, which the base hardly ever solves, and the same base, tasks, steps and learning "
        "rate for every reward",
        "compare-rewards-where-success-is-rare",
    ),
    "distillation": Experiment(
        "A teacher distilled on the student's own trajectories",
        "mentor -m experiment=distillation seed=0,1,2",
        "on-policy distillation, SFT and RL from one base, after as many trajectories or trained tokens",
        "distil-a-teacher-on-the-students-own-trajectories",
    ),
    "paper_tiny_sets": Experiment(
        "Teacher sets of three sizes",
        "mentor -m experiment=paper_tiny_small model=tiny_capable task.size=50,150,600 seed=0,1,2,3,4 "
        "run=paper_tiny_sets",
        "four rewards with 50, 150 and 600 trajectories of the teacher, from the same base",
        "compare-all-ways-to-train-over-bases",
    ),
}
"""In the order in which they are shown, before all others by name."""


def main(arguments: Sequence[str]) -> int:
    """0 when written or up to date, 1 with one line on stderr for a text that is not, 2 for runs that are no use."""
    parser = argparse.ArgumentParser(
        prog="write_results", description="Write docs/results.md, its pages and the README"
    )
    parser.add_argument("experiment", nargs="?", help="the experiment that the runs are of")
    parser.add_argument("runs", nargs="*", type=Path, help="run folders, such as outputs/paper_tiny_shy")
    parser.add_argument("--add", action="store_true", help="keep the stored bases that the runs do not hold")
    parser.add_argument("--check", action="store_true", help="write nothing; say whether the texts are up to date")
    given = parser.parse_args(arguments)
    if given.experiment and not given.runs:
        parser.error(f"{given.experiment} was given without run folders")
    if given.check and given.runs:
        parser.error("--check reads what is stored and takes no runs")
    try:
        stored = {path.parent.name: load(path) for path in STORED.glob("*/results.json")}
        if given.runs:
            kept = stored.get(given.experiment, []) if given.add else []
            stored[given.experiment] = with_runs(kept, given.runs)
        if not stored and not given.check:
            raise InputError(f"{STORED} holds no results.json: give an experiment and its run folders")
        found = {name: compare_configurations(stored[name]) for name in sorted(stored, key=_place)}
        wanted: dict[Path, str | bytes | None] = {
            INDEX: index(found) if found else None,
            README: with_body(README.read_text("utf-8"), found),
        }
        for name, own in found.items():
            wanted[STORED / name / "README.md"] = experiment_page(name, own)
            wanted |= {STORED / name / f"{figure.name}.png": figure.png for figure in pictures(own)}
        if given.runs:
            text = to_json(stored[given.experiment])
            (STORED / given.experiment).mkdir(parents=True, exist_ok=True)
            (STORED / given.experiment / "results.json").write_text(text, encoding="utf-8")
    except MentorError as error:
        sys.stderr.write(f"write_results: {error}\n")
        return 2
    for path, content in wanted.items():
        if not given.check:
            _write(path, content)
        elif _differs(path, content):
            name = path.relative_to(README.parent).as_posix()
            sys.stderr.write(f"write_results: {name} is not up to date: run python scripts/write_results.py\n")
            return 1
    return 0


def _write(path: Path, content: str | bytes | None) -> None:
    if content is not None:
        path.write_bytes(content.encode() if isinstance(content, str) else content)


def _differs(path: Path, content: str | bytes | None) -> bool:
    """Return whether a text is not as it would be written; of a picture, whether it is missing."""
    if isinstance(content, bytes):
        return not path.is_file()
    return (path.read_text(encoding="utf-8") if path.is_file() else None) != content


def with_runs(kept: Sequence[BaseResults], folders: Sequence[Path]) -> list[BaseResults]:
    """Read the runs and put what they hold in the place of what is kept under the same name.

    Raises InputError for two runs of one base.
    """
    read: dict[str, BaseResults] = {}
    for folder in folders:
        for own in read_run(folder):
            if own.name in read:
                raise InputError(f"{folder} and {read[own.name].run} both hold {own.name}; give one run for each base")
            read[own.name] = own
    return list(({own.name: own for own in kept} | read).values())


def _place(name: str) -> tuple[int, str]:
    return (list(EXPERIMENTS).index(name) if name in EXPERIMENTS else len(EXPERIMENTS)), name


# --- the texts -------------------------------------------------------------------------------------------------------


def experiment(name: str) -> Experiment:
    """Return how an experiment is shown; one that is not in the list has its name alone."""
    return EXPERIMENTS.get(name, Experiment(name, "", "", ""))


def intro(name: str, docs: str) -> str:
    """Say with which command an experiment is run and what it compares. docs: the way to docs/ from the text."""
    own = experiment(name)
    if not own.command:
        return ""
    return f"`{own.command}`: {own.about} ([recipe]({docs}recipes.md#{own.recipe}))."


def experiment_page(name: str, found: Comparison) -> str:
    return page(experiment(name).title, intro(name, "../../"), found)


def index(found: dict[str, Comparison]) -> str:
    """Make docs/results.md: what each experiment found, and where the rest stands.

    An experiment of which only a report is stored is named with it.
    """
    reports = {path.parent.name for path in STORED.glob("*/report.md")} - found.keys()
    parts = [
        "# Results",
        "Made by `scripts/write_results.py` from what is stored of each experiment below `results/`. Do not edit it.",
        RULE,
    ]
    for name in sorted([*found, *reports], key=_place):
        file = "README.md" if name in found else "report.md"
        parts += [f"## [{experiment(name).title}](results/{name}/{file})", intro(name, "")]
        parts += (
            [_verdict(found[name]), when(found[name])] if name in found else ["Its report is stored as it was made."]
        )
    return "\n\n".join(filter(None, parts)) + "\n"


def with_body(readme: str, found: dict[str, Comparison]) -> str:
    """Put the first experiment between the markers of the README; nothing where none is stored.

    Raises InputError for a README without the markers, if there is something to put there.
    """
    before, start, rest = readme.partition(START)
    _, end, after = rest.partition(END)
    if not start or not end:
        if not found:
            return readme
        raise InputError(f"{README.name} has no lines `{START}` and `{END}`, between which the table belongs")
    body = f"\n{_body(*next(iter(found.items())))}\n\n" if found else ""
    return f"{before}{START}\n{body}{END}{after}"


def _body(name: str, found: Comparison) -> str:
    setting = found.settings[0]
    shown = next(iter(domains(found, setting)), None)
    if len(found.configurations) == 1 or shown is None:
        tables = [
            f"Accuracy, {setting}, in percent: the mean over the seeds and its 95 % interval over seeds and questions.",
            *(accuracies(found, own, setting) for own in found.names),
        ]
    else:
        tables = [
            picture_lines(found, f"docs/results/{name}/")[0],
            "Accuracy in percent, with its 95 % interval over seeds and questions:",
            mean_accuracies(found, shown, setting),
        ]
    more = f"All splits, tests and tokens: [{experiment(name).title}](docs/results/{name}/README.md)."
    others = "All experiments: [results](docs/results.md)."
    parts = [intro(name, "docs/"), _verdict(found), *tables, f"{RULE} {when(found)} {more} {others}"]
    return "\n\n".join(filter(None, parts))


def _verdict(found: Comparison) -> str:
    return lead(found.means, found.gains, found.settings[0], label)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
