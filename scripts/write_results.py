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
from pathlib import Path
from statistics import fmean
from typing import Any, TypeVar

from mentor.errors import InputError, MentorError
from mentor.reporting.read.evaluations import read_evaluations
from mentor.reporting.read.methods import NOT_SIGNIFICANT, Scores, compare, method_results
from mentor.reporting.read.order import DOMAINS, distinct
from mentor.reporting.read.records import EvalResult, MethodResult, Pair, StageRecord
from mentor.reporting.read.task_scores import TaskKey
from mentor.reporting.tables.differences import p_text, points
from mentor.reporting.tables.sentences import listed, ranking

ROOT = Path(__file__).parents[1]
STORED, PAGE, README = ROOT / "docs" / "results.json", ROOT / "docs" / "results.md", ROOT / "README.md"
START, END = "<!-- made by scripts/write_results.py -->", "<!-- end of what it made -->"
KINDS = ("pretrain", "sft", "rl")
REWARDS = ("sparse", "strict", "flexible", "results")
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
CAPTION = "The mean over the seeds, and in brackets every seed in their order."
RULE = (
    "Two methods are said to differ where the paired test over questions is significant after Holm's adjustment (below "
    "0.05) and the difference has the same sign in every seed."
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

    @property
    def mean(self) -> float:
        return fmean(self.accuracies)


@dataclass(frozen=True)
class Comparison:
    """Two methods on the same questions. Differences are first - second, in shares, `by_seed` one for each seed.

    `difference`, its 95 % interval and `p` are over questions, each a mean over the seeds; `p_holm` is adjusted for all
    comparisons of one domain and setting.
    """

    first: str
    second: str
    split: str
    setting: str
    difference: float
    low: float
    high: float
    p: float
    p_holm: float
    significant: bool
    by_seed: list[float]

    @property
    def separated(self) -> bool:
        """Whether the difference is significant and has the same sign in every one of at least two seeds."""
        signs = {(value > 0) - (value < 0) for value in self.by_seed}
        return self.significant and len(self.by_seed) > 1 and len(signs) == 1 and 0 not in signs


AnyRow = TypeVar("AnyRow", Row, Comparison)


@dataclass(frozen=True)
class Cost:
    """What training of one method took, in the order of the seeds; None where nothing of it was logged."""

    method: str
    steps: list[int | None]
    sampled_tokens: list[float | None]
    trained_tokens: list[float | None]


@dataclass(frozen=True)
class Run:
    """What is stored of one run: its stages, its results, and the score of every question of each result."""

    seed: int
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
        return {"seed": self.seed, "stages": [_known(stage, STAGE_FIELDS) for stage in self.stages], "results": rows}

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
        return cls(stored["seed"], stages, results, scores)


@dataclass(frozen=True)
class Results:
    """All that the two texts are made from. verified_share: of the training tasks, those the teacher solved."""

    seeds: list[int]
    commits: list[str]
    verified_share: float | None
    resamples: int
    rows: list[Row]
    tests: list[Comparison]
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
    return f'{{"schema": 2,\n "questions": {{\n  {splits}}},\n "runs": [\n{texts}]}}\n'


def _run_text(run: dict[str, Any]) -> str:
    stages, results = (",\n   ".join(map(json.dumps, run[key])) for key in ("stages", "results"))
    return f'  {{"seed": {run["seed"]},\n  "stages": [\n   {stages}],\n  "results": [\n   {results}]}}'


def compare_runs(runs: Sequence[Run]) -> Results:
    """Compare the methods of the runs, given in the order of their seeds. Raises InputError where a run lacks one."""
    results = [row for run in runs for row in run.results]
    stages = [record for run in runs for record in run.stages]
    scores = {key: own for run in runs for key, own in run.scores.items()}
    order = [run.seed for run in runs]
    methods = sorted(method_results(results, stages), key=lambda method: _place(method.method))
    models = {method: [f"{method}-s{seed}" for seed in order] for method in distinct(m.method for m in methods)}
    for found in methods:
        if sorted(found.models) != sorted(models[found.method]):
            lacking = sorted(set(models[found.method]) - set(found.models))
            raise InputError(f"{found.benchmark}/{found.split} {found.setting} has no result of {', '.join(lacking)}")
    accuracy = {_key(row): row.accuracy for row in results}
    pairs, resamples = compare(methods, scores)
    solved = [record.headline for record in stages if record.stage == "rollout" and record.headline]
    return Results(
        seeds=order,
        commits=sorted({record.git_commit for record in stages if record.git_commit}),
        verified_share=solved[0]["value"] if solved else None,
        resamples=resamples,
        rows=[_row(method, models[method.method], accuracy) for method in methods],
        tests=[_test(pair, models, scores) for pair in pairs],
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
    return Run(seed_of(folder, results), stages, results, by_id)


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


def _row(method: MethodResult, models: Sequence[str], accuracy: dict[tuple[str, str, str, str], float | None]) -> Row:
    values = [accuracy[model, method.benchmark, method.split, method.setting] for model in models]
    known = [value for value in values if value is not None]
    return Row(method.method, _column(method), method.domain, method.setting, method.n, known)


def _column(of: EvalResult | MethodResult | Pair) -> str:
    return f"{of.benchmark}/{of.split}"


def _test(pair: Pair, models: dict[str, list[str]], scores: Scores) -> Comparison:
    by_seed = []
    for first, second in zip(models[pair.first], models[pair.second], strict=True):
        one, other = (scores[model, pair.benchmark, pair.split, pair.setting] for model in (first, second))
        by_seed.append(fmean(one[task] - other[task] for task in one if task in other))
    return Comparison(
        first=pair.first,
        second=pair.second,
        split=_column(pair),
        setting=pair.setting,
        difference=pair.difference,
        low=pair.low,
        high=pair.high,
        p=pair.p,
        p_holm=pair.p_holm,
        significant=pair.conclusion != NOT_SIGNIFICANT,
        by_seed=by_seed,
    )


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

    Nothing is said to differ unless `Comparison.separated`, and with one seed nothing is ranked.
    """
    rows = sorted(_of(results.rows, split, setting), key=lambda row: -row.mean)
    order = ", ".join(f"{label(row.method)} {_percent(row.mean)}" for row in rows)
    said = f"`{_split_name(results, split)}` ({DOMAINS[rows[0].domain].lower()}, {setting}): {order} %."
    if len(results.seeds) == 1:
        return f"{said} One seed ranks nothing."
    tests = _of(results.tests, split, setting)
    better = [
        (label(test.first), label(test.second)) if test.difference > 0 else (label(test.second), label(test.first))
        for test in tests
        if test.separated
    ]
    return f"{said} {ranking(better, len(tests))}"


def label(method: str) -> str:
    """Name a method as the texts do: base, SFT, RL `flexible`."""
    return {"pretrain": "base", "sft": "SFT"}.get(method) or f"RL `{method.removeprefix('rl-')}`"


def page(results: Results) -> str:
    """Make docs/results.md."""
    shown = _settings(results)
    parts = [
        "# Results",
        "Made by `scripts/write_results.py` from `results.json`, which holds the numbers of the runs. Do not edit it.",
        _about(results),
        "## What was seen",
        RULE,
        *("\n".join(f"- {seen(results, split, setting)}" for split in _splits(results)) for setting in shown),
    ]
    for setting in shown:
        parts += [f"## Accuracy, {setting}", CAPTION, _accuracies(results, setting)]
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
    in_domain = distinct(row.split for row in results.rows if row.domain == "id") or _splits(results)[:1]
    sentences = [seen(results, split, setting) for split in in_domain]
    return "\n\n".join(
        [
            f"Accuracy, {setting}, in percent: {CAPTION[0].lower()}{CAPTION[1:]}",
            _accuracies(results, setting),
            *sentences,
            f"{RULE} All splits, tests and tokens: [results](docs/results.md).",
        ]
    )


def _about(results: Results) -> str:
    tasks = sorted({row.n for row in results.rows})
    said = [
        f"Training seeds {listed(results.seeds)}, with {' or '.join(map(str, tasks))} questions of each split.",
        f"Code: {listed(results.commits)}." if results.commits else "",
        ""
        if results.verified_share is None
        else f"The teacher solved {_percent(results.verified_share)} % of the training tasks; it is not evaluated.",
    ]
    return " ".join(filter(None, said))


def _tests_text(results: Results) -> str:
    seeds = len(results.seeds)
    least = 2 / 2**seeds
    return (
        "Differences in points. Those of each question are averaged over the seeds. Interval: 95 % paired percentile "
        "bootstrap over questions; p: paired randomisation test (random signs), both of "
        f"{results.resamples:,} resamples; adjusted by Holm's method for all comparisons of one domain and setting. "
        f"These are about the checkpoints that were trained. A test over the {seeds} seeds alone (random signs) cannot "
        f"give a p below {least:g}, which is why all seeds must agree in sign as well."
    )


def _accuracies(results: Results, setting: str) -> str:
    splits = _splits(results)
    domains = {row.split: DOMAINS[row.domain].lower() for row in results.rows}
    cells = {(row.method, row.split): row for row in results.rows if row.setting == setting}
    lines = []
    for method in distinct(row.method for row in results.rows):
        found = [cells.get((method, split)) for split in splits]
        lines.append([label(method), *(NONE if row is None else _accuracy(row) for row in found)])
    return _table(["method", *(f"{_split_name(results, split)} ({domains[split]})" for split in splits)], lines)


def _accuracy(row: Row) -> str:
    return f"{_percent(row.mean)} ({', '.join(map(_percent, row.accuracies))})"


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
            _split_name(results, test.split),
            f"{points(test.difference)} [{points(test.low)}, {points(test.high)}]",
            ", ".join(map(points, test.by_seed)),
            p_text(test.p),
            p_text(test.p_holm),
            "differ" if test.separated else "",
        ]
        for test in results.tests
        if test.setting == setting
    ]
    return _table(["methods", "split", "difference", "every seed", "p", "adjusted p", "seen"], lines)


def _table(heads: Sequence[str], lines: Sequence[Sequence[str]]) -> str:
    rows = [heads, ["---"] * len(heads), *lines]
    return "\n".join(f"| {' | '.join(row)} |" for row in rows)


def _of(rows: Sequence[AnyRow], split: str, setting: str) -> list[AnyRow]:
    return [row for row in rows if (row.split, row.setting) == (split, setting)]


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
