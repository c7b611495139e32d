"""Tables and sentences about the compared methods of one experiment, as Markdown for its page and for the README."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from mentor.reporting.read.methods import NOT_SIGNIFICANT, configuration_of, method_of, own_name
from mentor.reporting.read.order import distinct
from mentor.reporting.read.records import MethodResult, Pair, StageRecord
from mentor.reporting.read.stages import TRAINING_STAGES
from mentor.reporting.tables.differences import adjusted_interval_text, interval_text, p_text, points
from mentor.reporting.tables.sentences import listed
from mentor.reporting.tables.stages import provenance, short_commit
from mentor.reporting.tables.table import DOMAINS, MISSING, SIGNS, SIGNS_MEAN, number, percent
from mentor.reporting.tables.verdict import PRIMARY, lead, own_split, paragraph
from scripts.results.comparison import Comparison, label
from scripts.results.pictures import picture_lines
from scripts.results.stored import column_of

RULE = (
    "Two methods differ over seeds where a paired test over seeds and questions is significant after Holm's adjustment "
    "(below 0.05). They differ in these models only where the test over questions alone is, and every seed agrees in "
    "sign: other seeds may then show something else."
)


def page(title: str, intro: str, found: Comparison) -> str:
    """Make the page of one experiment, docs/results/<experiment>/README.md. intro: what it is, with its command."""
    setting = found.settings[0]
    parts = [
        f"# {title}",
        "Made by `scripts/write_results.py` from `results.json`, which holds the numbers of the runs. Do not edit it.",
        intro,
        _about(found),
        _runs(found),
        "## Verdict",
        lead(found.means, found.gains, setting, label),
        *picture_lines(found, ""),
        "\n".join(f"- {line}" for line in paragraph(found.means, found.gains, setting, label)),
        RULE,
    ]
    for shown in found.settings:
        for domain in domains(found, shown):
            parts += [f"## Gain {DOMAINS[domain].lower()}, {shown}", _map_caption(found, domain, shown)]
            parts += [gain_map(found, domain, shown)]
            parts += [f"## Accuracy {DOMAINS[domain].lower()}, {shown}", _mean_caption(found, domain, shown)]
            parts += [mean_accuracies(found, domain, shown)]
    for shown in found.settings:
        parts += [f"## Accuracy of each split, {shown}", "The mean over the seeds and its 95 % interval, in percent."]
        parts += _by_configuration(found, lambda name, shown=shown: accuracies(found, name, shown))
        every = [*_by_configuration(found, lambda name, shown=shown: _every_seed(found, name, shown))]
        parts += [_folded("Every seed, in their order", *every)]
    parts += ["## What training took", _costs_text(found), *_by_configuration(found, lambda name: _costs(found, name))]
    for shown in found.settings:
        parts += [f"## Paired tests, {shown}", _tests_text(found)]
        parts += [_folded(_tests_title(found, name, shown), _tests(found, name, shown)) for name in found.names]
    parts += ["## Provenance", "Of each stage. The evaluations are in `results.json`."]
    parts += [_folded(name or "Every stage", _provenance(found, name)) for name in found.names]
    if missing := distinct(line for own in found.configurations for line in own.missing):
        title = f"{len(missing)} notes of the report's reader"
        parts += ["## What the runs lack", _folded(title, "\n".join(f"- {line}" for line in missing))]
    return "\n\n".join(filter(None, parts)) + "\n"


def when(found: Comparison) -> str:
    """The days of the runs, their code and their machines."""
    dates = sorted({date for own in found.configurations for date in own.dates})
    commits = distinct(short_commit(record.git_commit) for record in found.stages if record.git_commit)
    machines = distinct(own.machine for own in found.configurations if own.machine)
    said = [
        f"Run on {_days(dates)}." if dates else "",
        f"Code: {listed(commits)}." if commits else "",
        f"Machine: {listed(machines)}." if machines else "",
    ]
    return " ".join(filter(None, said))


def _days(dates: Sequence[str]) -> str:
    return " to ".join(distinct([*dates[:1], *dates[-1:]]))


def domains(found: Comparison, setting: str) -> list[str]:
    """The domain of the verdict first."""
    return [domain for domain in PRIMARY if any((m.domain, m.setting) == (domain, setting) for m in found.means)]


# --- the map ---------------------------------------------------------------------------------------------------------


def gain_map(found: Comparison, domain: str, setting: str) -> str:
    """A row for each method, a column for each configuration: its gain over the reference."""
    gains = [gain for gain in found.gains if (gain.domain, gain.setting) == (domain, setting)]
    cells = {gain.first: _gain(gain) for gain in gains}
    return _by_base(found, "gain", [gain.first for gain in gains], cells)


def _gain(gain: Pair) -> str:
    return f"{points(gain.difference)} {adjusted_interval_text(gain)} {SIGNS.get(gain.conclusion, '')}".rstrip()


def _map_caption(found: Comparison, domain: str, setting: str) -> str:
    against = distinct(label(g.second) for g in found.gains if (g.domain, g.setting) == (domain, setting))
    over = f"over {listed(against)} " if against else ""
    return (
        f"Gain {over}in points, with its adjusted interval: {_mean_of(found, domain, setting)}. {SIGNS_MEAN} No sign: "
        "not told apart."
    )


def mean_accuracies(found: Comparison, domain: str, setting: str) -> str:
    """A row for each method, a column for each configuration: its mean accuracy over the splits of a domain."""
    means = [mean for mean in found.means if (mean.domain, mean.setting) == (domain, setting)]
    return _by_base(found, "accuracy", [mean.method for mean in means], {m.method: _accuracy(m) for m in means})


def _mean_caption(found: Comparison, domain: str, setting: str) -> str:
    return f"In percent, with a 95 % interval: {_mean_of(found, domain, setting)}."


def _mean_of(found: Comparison, domain: str, setting: str) -> str:
    """The split of a domain, or how many its mean is taken over, each with the same weight."""
    return own_split(found.means, domain, setting)


def _by_base(found: Comparison, what: str, methods: Sequence[str], cells: dict[str, str]) -> str:
    full = {(configuration_of(method), own_name(method)): method for method in methods}
    lines = [
        [label(own), *(cells.get(full.get((name, own), ""), MISSING) for name in found.names)]
        for own in distinct(map(own_name, methods))
    ]
    return _table(["method", *(name or what for name in found.names)], lines)


# --- one configuration -----------------------------------------------------------------------------------------------


def accuracies(found: Comparison, name: str, setting: str) -> str:
    """A row for each method of a configuration, a column for each split."""
    return _by_split(found, name, setting, _accuracy)


def _every_seed(found: Comparison, name: str, setting: str) -> str:
    return _by_split(found, name, setting, lambda method: ", ".join(map(percent, method.by_seed)))


def _accuracy(method: MethodResult) -> str:
    return f"{percent(method.accuracy)} [{percent(method.low)}, {percent(method.high)}]"


def _by_split(found: Comparison, name: str, setting: str, text: Callable[[MethodResult], str]) -> str:
    own = [m for m in found.methods if (configuration_of(m.method), m.setting) == (name, setting)]
    in_order = sorted(own, key=lambda m: list(DOMAINS).index(m.domain))
    columns = distinct((column_of(m), DOMAINS[m.domain].lower()) for m in in_order)
    cells = {(m.method, column_of(m)): text(m) for m in own}
    lines = [
        [label(method), *(cells.get((method, column), MISSING) for column, _ in columns)]
        for method in distinct(m.method for m in own)
    ]
    return _table(["method", *(f"{_split_name(found, column)} ({domain})" for column, domain in columns)], lines)


def _costs(found: Comparison, name: str) -> str:
    folders = {record.folder for record in found.stages}
    methods: dict[str, list[StageRecord]] = {}
    for record in _stages(found, name, TRAINING_STAGES):
        methods.setdefault(method_of(record.folder, folders), []).append(record)
    shown = [method for method in distinct(m.method for m in found.methods) if method in methods]
    lines = [
        [
            label(method),
            _numbers([record.steps for record in methods[method]]),
            _numbers([record.sampled_tokens for record in methods[method]]),
            _numbers([record.trained_tokens for record in methods[method]]),
            _numbers([record.counts.get("teacher_tokens") for record in methods[method]]),
        ]
        for method in [*shown, *(method for method in methods if method not in shown)]
    ]
    return _table(["method", "steps", "sampled tokens", "trained tokens", "teacher tokens"], lines)


def _costs_text(found: Comparison) -> str:
    solved = [record.headline["value"] for record in found.stages if record.stage == "rollout" and record.headline]
    said = "Of every seed, in their order. Teacher tokens: those that a teacher model was shown."
    return f"{said} The teacher solved {listed(distinct(map(percent, solved)))} % of its tasks." if solved else said


def _provenance(found: Comparison, name: str) -> str:
    shown = ("config hash", "seed", "commit")
    stages = _stages(found, name, ("rollout", *TRAINING_STAGES))
    lines = [[own_name(record.folder), *(provenance(record)[key] for key in shown)] for record in stages]
    return _table(["stage folder", *shown], lines)


def _stages(found: Comparison, name: str, kinds: Sequence[str]) -> list[StageRecord]:
    own = [record for record in found.stages if configuration_of(record.folder) == name and record.stage in kinds]
    return sorted(own, key=lambda record: record.seed or 0)


# --- the tests -------------------------------------------------------------------------------------------------------


def _tests_text(found: Comparison) -> str:
    over_seeds = any(pair.over_seeds for pair in found.pairs)
    about = "other seeds and other questions" if over_seeds else "these models on other questions"
    return (
        "Shown are the comparisons with the reference and those that are significant; `results.json` has the scores "
        "for all. Differences in points, seed by seed and question by question. Interval and p are about "
        f"{about} (`mentor/evaluation/hierarchical.py`): first of the comparison alone, then adjusted by Holm's method "
        "for all comparisons of one domain and setting. An interval leaves out 0 exactly where its p is below 0.05. "
        "Adjusted p here: about these models on other questions."
    )


def _pairs(found: Comparison, name: str, setting: str) -> list[Pair]:
    return [p for p in found.pairs if (configuration_of(p.first), p.setting) == (name, setting)]


def _shown_pairs(found: Comparison, name: str, setting: str) -> list[Pair]:
    references = {gain.second for gain in found.gains}
    return [
        pair
        for pair in _pairs(found, name, setting)
        if pair.conclusion != NOT_SIGNIFICANT or references & {pair.first, pair.second}
    ]


def _tests_title(found: Comparison, name: str, setting: str) -> str:
    shown, every = len(_shown_pairs(found, name, setting)), len(_pairs(found, name, setting))
    return f"{name}: {shown} of {every} comparisons" if name else f"{shown} of {every} comparisons"


def _tests(found: Comparison, name: str, setting: str) -> str:
    lines = [
        [
            f"{label(pair.first)} − {label(pair.second)}",
            _split_name(found, column_of(pair)),
            f"{points(pair.difference)} {interval_text(pair)}",
            ", ".join(map(points, pair.by_seed)),
            p_text(pair.p),
            adjusted_interval_text(pair),
            p_text(pair.p_holm),
            p_text(pair.p_here_holm),
            pair.conclusion if pair.conclusion != NOT_SIGNIFICANT else "",
        ]
        for pair in _shown_pairs(found, name, setting)
    ]
    adjusted = ["adjusted interval", "adjusted p", "adjusted p here"]
    return _table(["methods", "split", "difference", "every seed", "p", *adjusted, "the first is"], lines)


# --- the runs --------------------------------------------------------------------------------------------------------


def _about(found: Comparison) -> str:
    seeds = sorted({seed for method in found.methods for seed in method.seeds if seed is not None})
    counts = sorted({method.n for method in found.methods})
    many = f"Training seeds {listed(seeds)}" if len(seeds) > 1 else f"Training seed {listed(seeds)}" if seeds else ""
    asked = f"{' or '.join(map(str, counts))} questions of each split"
    return f"{many}, with {asked}. {when(found)}" if many else f"With {asked}. {when(found)}"


def _runs(found: Comparison) -> str:
    lines = [
        [
            own.name,
            own.run,
            MISSING if own.megabytes is None else number(own.megabytes, 1),
            _days(own.dates) or MISSING,
            own.machine or MISSING,
            ", ".join(f"{package} {version}" for package, version in own.versions.items()) or MISSING,
        ]
        for own in found.configurations
    ]
    return _table(["base", "run", "run on disk, MB", "days", "machine", "versions"], lines)


def _by_configuration(found: Comparison, text: Callable[[str], str]) -> list[str]:
    """The text of each configuration, below its name where there are several."""
    return [f"**{name}**\n\n{text(name)}" if name else text(name) for name in found.names]


def _folded(title: str, *parts: str) -> str:
    return "\n\n".join([f"<details><summary>{title}</summary>", *parts, "</details>"])


def _split_name(found: Comparison, column: str) -> str:
    """Leave out the benchmark where there is one alone."""
    benchmark, name = column.split("/", 1)
    return column if any(method.benchmark != benchmark for method in found.methods) else name


def _numbers(values: Sequence[float | int | None]) -> str:
    """One number where all seeds have the same."""
    return " / ".join(map(number, values if len(set(values)) > 1 else values[:1]))


def _table(heads: Sequence[str], lines: Sequence[Sequence[str]]) -> str:
    rows = [heads, ["---"] * len(heads), *lines]
    return "\n".join(f"| {' | '.join(row)} |" for row in rows)
