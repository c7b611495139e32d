#!/usr/bin/env python3
"""Write docs/results.md and the README's table of results: methods over several training seeds, with paired tests.

    python scripts/write_results.py outputs/rare_success/sweeps/<id>/seed=*        # read the runs, one for each seed
    python scripts/write_results.py --add outputs/rare_success/sweeps/<id>/seed=3  # and keep the seeds that are stored
    python scripts/write_results.py                    # write both again from docs/results.json
    python scripts/write_results.py --check            # exit code 1 where they are not up to date

What the texts need of each run goes into docs/results.json first, the score of every question included, and both texts
are made from that file alone: they can be checked, and seeds added, without the runs. A run is a folder with eval/ and
report/results.json. The tests are those of the report.
"""

from __future__ import annotations

import argparse
import json
import re
import sys
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from mentor.errors import InputError, MentorError
from mentor.reporting.read.domain_means import domain_means, gains
from mentor.reporting.read.evaluations import read_evaluations
from mentor.reporting.read.methods import NOT_SIGNIFICANT, compare, method_results
from mentor.reporting.read.order import DOMAINS, distinct
from mentor.reporting.read.records import EvalResult, MethodResult, Pair, StageRecord
from mentor.reporting.read.task_scores import TaskKey
from mentor.reporting.tables.differences import adjusted_interval_text, interval_text, p_text, points
from mentor.reporting.tables.sentences import findings, listed
from mentor.reporting.tables.verdict import lead, paragraph

ROOT = Path(__file__).parents[1]
STORED, PAGE, README = ROOT / "docs" / "results.json", ROOT / "docs" / "results.md", ROOT / "README.md"
START, END = "<!-- made by scripts/write_results.py -->", "<!-- end of what it made -->"
KINDS = ("pretrain", "sft", "rl")
REWARDS = ("sparse", "strict", "flexible", "flexible_f1", "results")
STAGE_FIELDS = (
    "folder",
    "stage",
    "status",
    "seed",
    "config_hash",
    "git_commit",
    "headline",
    "steps",
    "sampled_tokens",
    "trained_tokens",
)
RESULT_FIELDS = (
    "model",
    "benchmark",
    "split",
    "domain",
    "mode",
    "with_tools",
    "n",
    "accuracy",
    "low",
    "high",
    "valid_call_rate",
    "calls_per_answer",
    "tool_similarity",
    "base",
)
MODEL = re.compile(r"(?:pretrain|sft|rl).*-s(\d+)")
NONE = "–"
CAPTION = "The mean over the seeds, its 95 % interval over seeds and questions, and every seed in their order."
RULE = (
    "Two methods differ over seeds where a paired test over seeds and questions is significant after Holm's adjustment "
    "(below 0.05). They differ in these models only where the test over questions alone is, and every seed agrees in "
    "sign: other seeds may then show something else."
)


@dataclass(frozen=True)
class Row:
    """One method on one split in one setting. accuracies: shares of correct answers, in the order of the seeds."""

    method: str
    split: str
    domain: str
    setting: str
    n: int
    accuracies: list[float]
    mean: float
    interval: tuple[float, float]


@dataclass(frozen=True)
class Cost:
    """What training of one method took, in the order of the seeds; None where nothing of it was logged."""

    method: str
    steps: list[int | None]
    sampled_tokens: list[float | None]
    trained_tokens: list[float | None]


@dataclass(frozen=True)
class Run:
    """What is stored of one run: the day it ended, its stages, its results, and the score of every question of each."""

    seed: int
    date: str | None
    stages: list[StageRecord]
    results: list[EvalResult]
    scores: dict[tuple[str, str, str, str], dict[TaskKey, float]]

    def to_dict(self, questions: dict[str, list[str]]) -> dict[str, Any]:
        """Return it for JSON, scores in the order of `questions`: of each split, the ids. A split not there is added.

        Raises InputError for a result on other questions than those.
        """
        rows = []
        for row in self.results:
            own = {task: score for (task, _), score in self.scores[_key(row)].items()}
            ids = questions.setdefault(_column(row), list(own))
            if set(own) != set(ids):
                raise InputError(
                    f"seed {self.seed}: {row.model} has other questions of {_column(row)} than the first run"
                )
            rows.append({**_known(row, RESULT_FIELDS), "scores": [own[task] for task in ids]})
        said = {"seed": self.seed, "date": self.date}
        return {**said, "stages": [_known(stage, STAGE_FIELDS) for stage in self.stages], "results": rows}

    @classmethod
    def from_dict(cls, stored: dict[str, Any], questions: dict[str, list[str]]) -> Run:
        scores = {}
        results = []
        for row in stored["results"]:
            result = EvalResult(**{**dict.fromkeys(RESULT_FIELDS), **row, "stop_reasons": {}, "scores": {}})
            results.append(result)
            ids = [(task, "") for task in questions[_column(result)]]
            scores[_key(result)] = dict(zip(ids, row["scores"], strict=True))
        unknown = {"versions": {}, "counts": {}, "seconds": {}, "started": None, "ended": None}
        stages = [StageRecord(**{**dict.fromkeys(STAGE_FIELDS), **unknown, **stage}) for stage in stored["stages"]]
        return cls(stored["seed"], stored["date"], stages, results, scores)


@dataclass(frozen=True)
class Results:
    """All that the two texts are made from. verified_share: of the training tasks, those the teacher solved."""

    seeds: list[int]
    dates: list[str]
    commits: list[str]
    verified_share: float | None
    rows: list[Row]
    tests: list[Pair]
    means: list[MethodResult]
    gains: list[Pair]
    costs: list[Cost]


def main(arguments: Sequence[str]) -> int:
    """0 when written or up to date, 1 with one line on stderr for a text that is not, 2 for runs that are no use."""
    parser = argparse.ArgumentParser(prog="write_results", description="Write docs/results.md and the README's table")
    parser.add_argument("runs", nargs="*", type=Path, help="run folders or points of a sweep, one for each seed")
    parser.add_argument("--add", action="store_true", help="keep the stored runs of other seeds")
    parser.add_argument("--check", action="store_true", help="write nothing; say whether the texts are up to date")
    given = parser.parse_args(arguments)
    if given.check and given.runs:
        parser.error("--check reads docs/results.json and takes no runs")
    try:
        runs = read_stored() if given.add or not given.runs else []
        new = read_runs(given.runs)
        runs = sorted(
            [*new, *(run for run in runs if run.seed not in {own.seed for own in new})], key=lambda run: run.seed
        )
        if not runs and not given.check:
            raise InputError(f"{STORED.name} is missing: give the folders of the runs, one for each seed")
        results = compare_runs(runs) if runs else None
        wanted = {
            PAGE: None if results is None else page(results),
            README: with_body(README.read_text("utf-8"), results),
        }
        if new:
            STORED.write_text(to_json(runs), encoding="utf-8")
    except MentorError as error:
        sys.stderr.write(f"write_results: {error}\n")
        return 2
    for path, text in wanted.items():
        if not given.check and text is not None:
            path.write_text(text, encoding="utf-8")
        elif (path.read_text(encoding="utf-8") if path.is_file() else None) != text:
            sys.stderr.write(f"write_results: {path.name} is not up to date: run python scripts/write_results.py\n")
            return 1
    return 0


# --- from the runs ---------------------------------------------------------------------------------------------------


def read_runs(folders: Sequence[Path]) -> list[Run]:
    """Read the runs. Raises InputError for runs that are not one for each seed."""
    runs: dict[int, Run] = {}
    found: dict[int, Path] = {}
    for folder in folders:
        run = read_run(folder)
        if run.seed in runs:
            raise InputError(f"{folder} and {found[run.seed]} both hold seed {run.seed}; give one run for each seed")
        runs[run.seed], found[run.seed] = run, folder
    return list(runs.values())


def read_stored() -> list[Run]:
    """Read the runs of docs/results.json; none where there is no such file."""
    if not STORED.is_file():
        return []
    stored = json.loads(STORED.read_text(encoding="utf-8"))
    return [Run.from_dict(run, stored["questions"]) for run in stored["runs"]]


def to_json(runs: Sequence[Run]) -> str:
    """Return the text of docs/results.json: one line for each split, stage and result. Raises InputError, see `Run`."""
    questions: dict[str, list[str]] = {}
    stored = [run.to_dict(questions) for run in runs]
    splits = ",\n  ".join(f"{json.dumps(split)}: {json.dumps(ids)}" for split, ids in questions.items())
    texts = ",\n".join(map(_run_text, stored))
    return f'{{"schema": 3,\n "questions": {{\n  {splits}}},\n "runs": [\n{texts}]}}\n'


def _run_text(run: dict[str, Any]) -> str:
    head = f'  {{"seed": {run["seed"]}, "date": {json.dumps(run["date"])}'
    lists = (f'"{key}": [\n   ' + ",\n   ".join(map(json.dumps, run[key])) + "]" for key in ("stages", "results"))
    return ",\n  ".join([head, *lists]) + "}"


def compare_runs(runs: Sequence[Run]) -> Results:
    """Compare the methods of the runs, given in the order of their seeds. Raises InputError where a run lacks one."""
    results = [row for run in runs for row in run.results]
    stages = [record for run in runs for record in run.stages]
    scores = {key: own for run in runs for key, own in run.scores.items()}
    order = [run.seed for run in runs]
    methods = sorted(method_results(results, stages, scores), key=lambda method: _place(method.method))
    models = {method: [f"{method}-s{seed}" for seed in order] for method in distinct(m.method for m in methods)}
    for found in methods:
        if sorted(found.models) != sorted(models[found.method]):
            lacking = sorted(set(models[found.method]) - set(found.models))
            raise InputError(f"{found.benchmark}/{found.split} {found.setting} has no result of {', '.join(lacking)}")
    solved = [record.headline for record in stages if record.stage == "rollout" and record.headline]
    return Results(
        seeds=order,
        dates=sorted({run.date for run in runs if run.date is not None}),
        commits=sorted({record.git_commit for record in stages if record.git_commit}),
        verified_share=solved[0]["value"] if solved else None,
        rows=[_row(method) for method in methods],
        tests=compare(methods, scores),
        means=domain_means(methods, scores),
        gains=gains(methods, scores),
        costs=[_cost(method, names, stages) for method, names in models.items()],
    )


def read_run(folder: Path) -> Run:
    """Read one run that has its report.

    Raises InputError where there is none, or where it is older than an evaluation.
    """
    report = folder / "report" / "results.json"
    if not report.is_file():
        raise InputError(f"{report} is missing: run `mentor stage=report` first")
    values = json.loads(report.read_text(encoding="utf-8"))
    results = [EvalResult(**row) for row in values["results"]]
    evaluated, _, scores = read_evaluations(folder, [])
    keys = [{(*_key(r), r.accuracy) for r in rows} for rows in (results, evaluated)]
    if keys[0] != keys[1]:
        raise InputError(f"{report} does not agree with the evaluations: run `mentor stage=report` again")
    lacking = {f"{r.model}/{r.benchmark}" for r in results if _key(r) not in scores}
    if lacking:
        raise InputError(f"{folder / 'eval'} lacks items.jsonl of {', '.join(sorted(lacking))}, which the tests need")
    stages = [StageRecord(**record) for record in values["stages"]]
    if unknown := {row.model for row in results} - {record.folder for record in stages}:
        raise InputError(f"{folder} has no stage {', '.join(sorted(unknown))}, whose results it holds")
    by_id = {key: {(task, ""): score for (task, _), score in own.items()} for key, own in scores.items()}
    ended = max((record.ended for record in stages if record.ended is not None), default=None)
    date = None if ended is None else datetime.fromtimestamp(ended, UTC).strftime("%Y-%m-%d")
    return Run(seed_of(folder, results), date, stages, results, by_id)


def _key(row: EvalResult) -> tuple[str, str, str, str]:
    return row.model, row.benchmark, row.split, row.setting


def _known(record: EvalResult | StageRecord, fields: Sequence[str]) -> dict[str, Any]:
    return {name: value for name, value in asdict(record).items() if name in fields and value is not None}


def seed_of(folder: Path, results: Sequence[EvalResult]) -> int:
    """Return the training seed of all models of a run. Raises InputError for models of several seeds, or of none."""
    found = {model: MODEL.fullmatch(model) for model in distinct(row.model for row in results)}
    seeds = {int(match[1]) if match else None for match in found.values()}
    seed = seeds.pop() if len(seeds) == 1 else None
    if seed is None:
        names = ", ".join(found) or "none"
        raise InputError(f"{folder} has models {names}; accepted: pretrain, sft and rl of one seed")
    return seed


def _place(method: str) -> tuple[int, str]:
    """The base first, then SFT, then RL: the project's rewards from the barest to the fullest, others by name."""
    kind, _, reward = method.partition("-")
    return KINDS.index(kind), f"{REWARDS.index(reward)}" if reward in REWARDS else reward


def _row(method: MethodResult) -> Row:
    interval = (method.low, method.high)
    return Row(
        method.method,
        _column(method),
        method.domain,
        method.setting,
        method.n,
        method.by_seed,
        method.accuracy,
        interval,
    )


def _column(of: EvalResult | MethodResult | Pair) -> str:
    return f"{of.benchmark}/{of.split}"


def _cost(method: str, models: Sequence[str], stages: Sequence[StageRecord]) -> Cost:
    folders = {record.folder: record for record in stages}
    found = [folders[model] for model in models]
    return Cost(
        method,
        [record.steps for record in found],
        [record.sampled_tokens for record in found],
        [record.trained_tokens for record in found],
    )


# --- to the texts ----------------------------------------------------------------------------------------------------


def seen(results: Results, split: str, setting: str) -> str:
    """Say which methods differ on one split: the order of the means, then the pairs that are separated.

    What differs is said by RULE.
    """
    rows = sorted(_rows(results, split, setting), key=lambda row: -row.mean)
    order = ", ".join(f"{label(row.method)} {_percent(row.mean)}" for row in rows)
    said = f"`{_split_name(results, split)}` ({DOMAINS[rows[0].domain].lower()}, {setting}): {order} %."
    tests = [test for test in results.tests if (_column(test), test.setting) == (split, setting)]
    return f"{said} {findings(tests, label)}"


def label(method: str) -> str:
    """Name a method as the texts do: base, SFT, RL `flexible`."""
    kind, _, name = method.partition("-")
    kinds = {"pretrain": "base", "sft": "SFT", "rl": "RL"}
    return f"{kinds[kind]} `{name}`" if name else kinds[kind]


def page(results: Results) -> str:
    """Make docs/results.md."""
    shown = _settings(results)
    parts = [
        "# Results",
        "Made by `scripts/write_results.py` from `results.json`, which holds the numbers of the runs. Do not edit it.",
        _about(results),
        "## Verdict",
        lead(results.means, results.gains, shown[0], label),
        "\n".join(f"- {line}" for line in paragraph(results.means, results.gains, shown[0], label)),
        RULE,
        "## What was seen on each split",
        *("\n".join(f"- {seen(results, split, setting)}" for split in _splits(results)) for setting in shown),
    ]
    for setting in shown:
        parts += [f"## Accuracy, {setting}", CAPTION, _accuracies(results, setting, every_seed=True)]
    parts += ["## What training took", "Of every seed, in their order.", _costs(results)]
    for setting in shown:
        parts += [f"## Paired tests, {setting}", _tests_text(results), _tests(results, setting)]
    return "\n\n".join(parts) + "\n"


def with_body(readme: str, results: Results | None) -> str:
    """Put the table of the first setting between the markers of the README; nothing where there are no results.

    Raises InputError for a README without the markers, if there is something to put there.
    """
    before, start, rest = readme.partition(START)
    _, end, after = rest.partition(END)
    if not start or not end:
        if results is None:
            return readme
        raise InputError(f"{README.name} has no lines `{START}` and `{END}`, between which the table belongs")
    body = "" if results is None else f"\n{_body(results)}\n\n"
    return f"{before}{START}\n{body}{END}{after}"


def _body(results: Results) -> str:
    setting = _settings(results)[0]
    return "\n\n".join(
        [
            lead(results.means, results.gains, setting, label),
            f"Accuracy, {setting}, in percent: the mean over {_seed_count(results)} and its 95 % interval over seeds "
            "and questions.",
            _accuracies(results, setting, every_seed=False),
            f"{RULE} {_when(results)} All splits, tests and tokens: [results](docs/results.md).",
        ]
    )


def _when(results: Results) -> str:
    """The days of the runs, and their code."""
    said = [f"Run on {listed(results.dates)}." if results.dates else ""]
    said.append(f"Code: {listed(results.commits)}." if results.commits else "")
    return " ".join(filter(None, said))


def _about(results: Results) -> str:
    tasks = sorted({row.n for row in results.rows})
    said = [
        f"Training seeds {listed(results.seeds)}, with {' or '.join(map(str, tasks))} questions of each split.",
        _when(results),
        ""
        if results.verified_share is None
        else f"The teacher solved {_percent(results.verified_share)} % of the training tasks; it is not evaluated.",
    ]
    return " ".join(filter(None, said))


def _tests_text(results: Results) -> str:
    about = "these models on other questions" if len(results.seeds) == 1 else "other seeds and other questions"
    return (
        f"Differences in points, seed by seed and question by question. Interval and p are about {about} "
        "(`mentor/evaluation/hierarchical.py`): first of the comparison alone, then adjusted by Holm's method for all "
        "comparisons of one domain and setting. An interval leaves out 0 exactly where its p is below 0.05. Adjusted p "
        "here: about these models on other questions."
    )


def _accuracies(results: Results, setting: str, every_seed: bool) -> str:
    splits = _splits(results)
    domains = {row.split: DOMAINS[row.domain].lower() for row in results.rows}
    cells = {(row.method, row.split): row for row in results.rows if row.setting == setting}
    lines = []
    for method in distinct(row.method for row in results.rows):
        found = [cells.get((method, split)) for split in splits]
        lines.append([label(method), *(NONE if row is None else _accuracy(row, every_seed) for row in found)])
    return _table(["method", *(f"{_split_name(results, split)} ({domains[split]})" for split in splits)], lines)


def _accuracy(row: Row, every_seed: bool) -> str:
    low, high = map(_percent, row.interval)
    seeds = f" ({', '.join(map(_percent, row.accuracies))})" if every_seed else ""
    return f"{_percent(row.mean)} [{low}, {high}]{seeds}"


def _seed_count(results: Results) -> str:
    seeds = len(results.seeds)
    return "one seed" if seeds == 1 else f"{seeds} seeds"


def _costs(results: Results) -> str:
    lines = [
        [label(cost.method), _numbers(cost.steps), _numbers(cost.sampled_tokens), _numbers(cost.trained_tokens)]
        for cost in results.costs
    ]
    return _table(["method", "steps", "sampled tokens", "trained tokens"], lines)


def _tests(results: Results, setting: str) -> str:
    lines = [
        [
            f"{label(test.first)} − {label(test.second)}",
            _split_name(results, _column(test)),
            f"{points(test.difference)} {interval_text(test)}",
            ", ".join(map(points, test.by_seed)),
            p_text(test.p),
            adjusted_interval_text(test),
            p_text(test.p_holm),
            p_text(test.p_here_holm),
            test.conclusion if test.conclusion != NOT_SIGNIFICANT else "",
        ]
        for test in results.tests
        if test.setting == setting
    ]
    adjusted = ["adjusted interval", "adjusted p", "adjusted p here"]
    return _table(["methods", "split", "difference", "every seed", "p", *adjusted, "the first is"], lines)


def _table(heads: Sequence[str], lines: Sequence[Sequence[str]]) -> str:
    rows = [heads, ["---"] * len(heads), *lines]
    return "\n".join(f"| {' | '.join(row)} |" for row in rows)


def _rows(results: Results, split: str, setting: str) -> list[Row]:
    return [row for row in results.rows if (row.split, row.setting) == (split, setting)]


def _splits(results: Results) -> list[str]:
    """In domain first, else as evaluated."""
    ordered = sorted(results.rows, key=lambda row: list(DOMAINS).index(row.domain))
    return distinct(row.split for row in ordered)


def _split_name(results: Results, split: str) -> str:
    """Leave out the benchmark where there is one alone."""
    benchmark, name = split.split("/", 1)
    return split if any(not row.split.startswith(f"{benchmark}/") for row in results.rows) else name


def _settings(results: Results) -> list[str]:
    """Sampled first."""
    return sorted(distinct(row.setting for row in results.rows), key=lambda setting: setting != "sampled")


def _percent(share: float) -> str:
    return f"{100 * share:.1f}"


def _numbers(values: Sequence[float | int | None]) -> str:
    return NONE if all(value is None for value in values) else " / ".join(f"{value or 0:,.0f}" for value in values)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
