#!/usr/bin/env python3
"""Write docs/results.md and the README's table of results: methods over several training seeds, with paired tests.

    python scripts/write_results.py outputs/rare_success/sweeps/<id>/seed=*   # read the runs, one for each seed
    python scripts/write_results.py                    # write both again from docs/results.json
    python scripts/write_results.py --check            # exit code 1 where they are not up to date

Runs are condensed into docs/results.json first, and both texts are made from that file alone: they can be checked
without the runs. A run is a folder with eval/ and report/results.json. The tests are those of the report.
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
from mentor.reporting.tables.differences import p_text, points

ROOT = Path(__file__).parents[1]
STORED, PAGE, README = ROOT / "docs" / "results.json", ROOT / "docs" / "results.md", ROOT / "README.md"
START, END = "<!-- made by scripts/write_results.py -->", "<!-- end of what it made -->"
KINDS = ("pretrain", "sft", "rl")
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
class Results:
    """All that the two texts are made from. verified_share: of the training tasks, those the teacher solved."""

    seeds: list[int]
    commits: list[str]
    verified_share: float | None
    resamples: int
    rows: list[Row]
    tests: list[Comparison]
    costs: list[Cost]

    def to_json(self) -> str:
        return json.dumps({"schema": 1, **asdict(self)}, indent=1) + "\n"

    @classmethod
    def from_json(cls, text: str) -> Results:
        values = json.loads(text)
        del values["schema"]
        kinds: dict[str, type[Row] | type[Comparison] | type[Cost]] = {"rows": Row, "tests": Comparison, "costs": Cost}
        for key, kind in kinds.items():
            values[key] = [kind(**entry) for entry in values[key]]
        return cls(**values)


def main(arguments: Sequence[str]) -> int:
    """0 when written or up to date, 1 with one line on stderr for a text that is not, 2 for runs that are no use."""
    parser = argparse.ArgumentParser(prog="write_results", description="Write docs/results.md and the README's table")
    parser.add_argument("runs", nargs="*", type=Path, help="run folders or points of a sweep, one for each seed")
    parser.add_argument("--check", action="store_true", help="write nothing; say whether the texts are up to date")
    given = parser.parse_args(arguments)
    if given.check and given.runs:
        parser.error("--check reads docs/results.json and takes no runs")
    try:
        if given.runs:
            STORED.write_text(condense(given.runs).to_json(), encoding="utf-8")
        stored = Results.from_json(STORED.read_text(encoding="utf-8")) if STORED.is_file() else None
        if stored is None and not given.check:
            raise InputError(f"{STORED.name} is missing: give the folders of the runs, one for each seed")
        wanted = {PAGE: None if stored is None else page(stored), README: with_body(README.read_text("utf-8"), stored)}
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


def condense(folders: Sequence[Path]) -> Results:
    """Read the runs and compare their methods. Raises InputError for runs that are not one for each seed."""
    results: list[EvalResult] = []
    stages: list[StageRecord] = []
    scores: dict[tuple[str, str, str, str], Any] = {}
    seeds: dict[int, Path] = {}
    for folder in folders:
        own, records, own_scores = read_run(folder)
        seed = seed_of(folder, own)
        if seed in seeds:
            raise InputError(f"{folder} and {seeds[seed]} both hold seed {seed}; give one run for each seed")
        seeds[seed] = folder
        results += own
        stages += records
        scores.update(own_scores)
    order = sorted(seeds)
    methods = sorted(method_results(results, stages), key=lambda method: _place(method.method))
    models = {method: [f"{method}-s{seed}" for seed in order] for method in distinct(m.method for m in methods)}
    for found in methods:
        if sorted(found.models) != sorted(models[found.method]):
            lacking = sorted(set(models[found.method]) - set(found.models))
            raise InputError(f"{found.benchmark}/{found.split} {found.setting} has no result of {', '.join(lacking)}")
    accuracy = {(row.model, row.benchmark, row.split, row.setting): row.accuracy for row in results}
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


def read_run(folder: Path) -> tuple[list[EvalResult], list[StageRecord], Scores]:
    """Read the rows of results, the stages and the scores by task of one run that has its report.

    Raises InputError where there is none, or where it is older than an evaluation.
    """
    report = folder / "report" / "results.json"
    if not report.is_file():
        raise InputError(f"{report} is missing: run `mentor stage=report` first")
    values = json.loads(report.read_text(encoding="utf-8"))
    results = [EvalResult(**row) for row in values["results"]]
    evaluated, _, scores = read_evaluations(folder, [])
    keys = [{(r.model, r.benchmark, r.split, r.setting, r.accuracy) for r in rows} for rows in (results, evaluated)]
    if keys[0] != keys[1]:
        raise InputError(f"{report} does not agree with the evaluations: run `mentor stage=report` again")
    lacking = {f"{r.model}/{r.benchmark}" for r in results if (r.model, r.benchmark, r.split, r.setting) not in scores}
    if lacking:
        raise InputError(f"{folder / 'eval'} lacks items.jsonl of {', '.join(sorted(lacking))}, which the tests need")
    stages = [StageRecord(**record) for record in values["stages"]]
    if unknown := {row.model for row in results} - {record.folder for record in stages}:
        raise InputError(f"{folder} has no stage {', '.join(sorted(unknown))}, whose results it holds")
    return results, stages, scores


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
    """The base first, then SFT, then RL by name."""
    return KINDS.index(method.split("-")[0]), method


def _row(method: MethodResult, models: Sequence[str], accuracy: dict[tuple[str, str, str, str], float | None]) -> Row:
    values = [accuracy[model, method.benchmark, method.split, method.setting] for model in models]
    known = [value for value in values if value is not None]
    return Row(method.method, _column(method), method.domain, method.setting, method.n, known)


def _column(of: MethodResult | Pair) -> str:
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
    order = ", ".join(f"`{row.method}` {_percent(row.mean)}" for row in rows)
    said = f"`{split}` ({DOMAINS[rows[0].domain].lower()}, {setting}): {order} %."
    if len(results.seeds) == 1:
        return f"{said} One seed ranks nothing."
    tests = _of(results.tests, split, setting)
    separated = [test for test in tests if test.separated]
    if not separated:
        return f"{said} No difference between any two of them was seen."
    above: dict[str, set[str]] = {row.method: set() for row in rows}
    for test in separated:
        better, worse = (test.first, test.second) if test.difference > 0 else (test.second, test.first)
        above[better].add(worse)
    clauses = [
        f"`{method}` is better than {_list([row.method for row in rows if row.method in worse])}"
        for method, worse in above.items()
        if worse
    ]
    rest = len(tests) - len(separated)
    left = f" In {rest} of {len(tests)} comparisons no difference was seen." if rest else ""
    return f"{said} {'; '.join(clauses)}.{left}"


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
        f"Training seeds {_plain_list(results.seeds)}, with {' or '.join(map(str, tasks))} questions of each split.",
        f"Code: {_plain_list(results.commits)}." if results.commits else "",
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
        lines.append([f"`{method}`", *(NONE if row is None else _accuracy(row) for row in found)])
    return _table(["method", *(f"{split} ({domains[split]})" for split in splits)], lines)


def _accuracy(row: Row) -> str:
    return f"{_percent(row.mean)} ({', '.join(map(_percent, row.accuracies))})"


def _costs(results: Results) -> str:
    lines = [
        [f"`{cost.method}`", _numbers(cost.steps), _numbers(cost.sampled_tokens), _numbers(cost.trained_tokens)]
        for cost in results.costs
    ]
    return _table(["method", "steps", "sampled tokens", "trained tokens"], lines)


def _tests(results: Results, setting: str) -> str:
    lines = [
        [
            f"`{test.first}` − `{test.second}`",
            test.split,
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


def _settings(results: Results) -> list[str]:
    """Sampled first."""
    return sorted(distinct(row.setting for row in results.rows), key=lambda setting: setting != "sampled")


def _percent(share: float) -> str:
    return f"{100 * share:.1f}"


def _numbers(values: Sequence[float | int | None]) -> str:
    return NONE if all(value is None for value in values) else " / ".join(f"{value or 0:,.0f}" for value in values)


def _list(methods: Sequence[str]) -> str:
    return _plain_list([f"`{method}`" for method in methods])


def _plain_list(values: Sequence[object]) -> str:
    texts = [str(value) for value in values]
    return texts[0] if len(texts) == 1 else f"{', '.join(texts[:-1])} and {texts[-1]}"


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
