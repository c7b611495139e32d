"""The verdict of a report, in sentences and a table made from the gains over the reference by rule."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from scipy.special import stdtrit

from mentor.reporting.read.domain_means import reference_of
from mentor.reporting.read.methods import (
    BETTER,
    BETTER_HERE,
    NOT_SIGNIFICANT,
    WORSE,
    WORSE_HERE,
    configuration_of,
    own_name,
)
from mentor.reporting.read.order import DOMAINS, distinct, settings
from mentor.reporting.read.records import MethodResult, Pair, Report
from mentor.reporting.tables.differences import adjusted_interval_text, p_text, points
from mentor.reporting.tables.sentences import listed
from mentor.reporting.tables.table import MISSING, SIGNS, SIGNS_MEAN, Cell, Table, percent

WIDE = 0.1  # an interval that reaches further than this to either side leaves much open
MANY_SEEDS = 5
MOST_NAMES = 4  # of methods that are not told apart from the reference; of more, their number
FEW_QUESTIONS = 50  # below it even one accuracy near a half is known to 14 points at best
PRIMARY = ("ood", "id", "unknown")  # the domain that the first sentence is about
FOUND = {
    (BETTER, WORSE): "over seeds",
    (BETTER_HERE, WORSE_HERE): "in these models only",
    (NOT_SIGNIFICANT,): "not told apart",
}
Label = Callable[[str], str]


def lead(
    means: Sequence[MethodResult], gains: Sequence[Pair], setting: str, label: Label = str, evaluated: bool = True
) -> str:
    """Say what the gains over the reference show on the primary domain, in one sentence for each configuration.

    evaluated: any model was.
    """
    domain = next((d for d in PRIMARY if any((m.domain, m.setting) == (d, setting) for m in means)), None)
    parts = []
    for configuration in distinct(configuration_of(m.method) for m in means):
        own, against = _own(means, gains, configuration, domain, setting)
        if own:
            parts.append((f"with {configuration}, " if configuration else "") + _lead(own, against, label))
    if (domain is None or not parts) and evaluated:
        return "No split was answered by every method with all its seeds, so no means are compared."
    if domain is None or not parts:
        return "No evaluation has an accuracy, so there is nothing to conclude."
    said = f"{DOMAINS[domain]} ({own_split(means, domain, setting)}, {setting}), {parts[0]}."
    return " ".join([said, *(f"{part[0].upper()}{part[1:]}." for part in parts[1:])])


def first_sentence(report: Report) -> str:
    """Return `lead` of the report's first setting."""
    first = next(iter(settings(report.means)), "")
    return lead(report.means, report.gains, first, evaluated=bool(report.methods))


def own_split(means: Sequence[MethodResult], domain: str, setting: str) -> str:
    """Name what the mean of a domain is taken over."""
    found = distinct(m.split for m in means if (m.domain, m.setting) == (domain, setting))
    return listed(found)


def _own(
    means: Sequence[MethodResult], gains: Sequence[Pair], configuration: str, domain: str | None, setting: str
) -> tuple[list[MethodResult], list[Pair]]:
    """The means and gains of one configuration, domain and setting."""
    key = (configuration, domain, setting)
    return (
        [m for m in means if (configuration_of(m.method), m.domain, m.setting) == key],
        [g for g in gains if (configuration_of(g.first), g.domain, g.setting) == key],
    )


def _lead(means: Sequence[MethodResult], gains: Sequence[Pair], label: Label) -> str:
    reference = reference_of(means)
    if not gains or reference is None:
        best = max(means, key=lambda m: m.accuracy)
        return f"{label(own_name(best.method))} is right on {percent(best.accuracy)} %, with nothing to compare it with"
    against = label(own_name(reference))
    over_seeds, here, rest = ([g for g in gains if g.conclusion in conclusions] for conclusions in FOUND)
    said = []
    if over_seeds:
        said.append(f"over seeds {_distances(over_seeds, against, label)}")
    elif here:
        said.append(f"no difference from {against} holds over seeds")
    if here:
        distances = _distances(here, "" if over_seeds else "it", label)
        said.append(f"in the models trained here {distances}, and whether other seeds would show this is open")
    if rest:
        names = listed([label(own_name(g.first)) for g in sorted(rest, key=lambda g: -g.difference)])
        names = names if len(rest) <= MOST_NAMES else f"{len(rest)} others"
        be = "is" if len(rest) == 1 else "are"
        said.append(f"{names} {be} not told apart from {against}")
    return "; ".join(said)


def _distances(gains: Sequence[Pair], against: str, label: Label) -> str:
    """`a is 25.0 and b 12.0 points above c, and d is 3.0 points below`: the furthest first on either side."""
    said = []
    for side, found in (
        ("above", sorted((g for g in gains if g.difference > 0), key=lambda g: -g.difference)),
        ("below", sorted((g for g in gains if g.difference <= 0), key=lambda g: g.difference)),
    ):
        if found:
            first, *rest = [(label(own_name(g.first)), f"{100 * abs(g.difference):.1f}") for g in found]
            sizes = listed([" is ".join(first), *map(" ".join, rest)])
            said.append(f"{sizes} points {side} {against}".rstrip())
    return ", and ".join(said)


def paragraph(means: Sequence[MethodResult], gains: Sequence[Pair], setting: str, label: Label = str) -> list[str]:
    """Say of every domain which gains are real, which are not, and then what the data cannot say."""
    said = []
    for configuration in distinct(configuration_of(g.first) for g in gains):
        for domain in DOMAINS:
            _, own = _own(means, gains, configuration, domain, setting)
            for conclusions, how in FOUND.items():
                found = [g for g in own if g.conclusion in conclusions]
                if found:
                    where = DOMAINS[domain] + (f", {configuration}" if configuration else "")
                    against = label(own_name(found[0].second))
                    said.append(f"{where}, {how}, against {against}: {listed([_detail(g, label) for g in found])}.")
    return said + limits(means, gains, setting)


def _detail(gain: Pair, label: Label) -> str:
    return f"{label(own_name(gain.first))} {points(gain.difference)} {adjusted_interval_text(gain)}"


def limits(means: Sequence[MethodResult], gains: Sequence[Pair], setting: str) -> list[str]:
    """Say what the data cannot say: too few seeds or questions, and intervals that leave much open."""
    shown = [g for g in gains if g.setting == setting]
    said = []
    if few := sorted({m.n for m in means if m.setting == setting and m.n < FEW_QUESTIONS}):
        said.append(
            f"{listed(few)} questions are too few to tell much: below {FEW_QUESTIONS} even one accuracy near a half is "
            "known to 14 points at best."
        )
    if any(not g.over_seeds for g in shown):
        said.append("Where a method has one seed, nothing is said about other seeds.")
    seeds = min((max(g.seeds) for g in shown if g.over_seeds), default=MANY_SEEDS)
    if seeds < MANY_SEEDS:
        said.append(
            f"With {seeds} seeds their scatter counts {stdtrit(seeds - 1, 0.975):.1f} times before any adjustment, "
            "against 2.0 with many: a difference must be far larger than that scatter to hold over seeds."
        )
    wide = [g for g in shown if g.conclusion == NOT_SIGNIFICANT and (g.high_holm - g.low_holm) / 2 > WIDE]
    if wide:
        said.append(
            f"The intervals of {len(wide)} of {len(shown)} differences leave 0 in and reach more than {100 * WIDE:.0f} "
            "points to either side: a large difference may be missed there."
        )
    return said


def gain_table(report: Report) -> list[Table]:
    """Build the table of methods x domains of the gain over the reference, per setting."""
    shown = settings(report.means)
    tables = []
    for setting in shown:
        gains = [g for g in report.gains if g.setting == setting]
        domains = [domain for domain in DOMAINS if any(g.domain == domain for g in gains)]
        if gains:
            tables.append(_gain_table(setting, gains, domains, main=setting == shown[0]))
    return tables


def _gain_table(setting: str, gains: Sequence[Pair], domains: Sequence[str], main: bool) -> Table:
    cells = {(g.first, g.second, g.domain): g for g in gains}
    rows = [
        [Cell(f"{first} − {second}"), *(_gain(cells.get((first, second, domain))) for domain in domains)]
        for first, second in distinct((g.first, g.second) for g in gains)
    ]
    return Table(
        title=f"Gain over the reference, {setting}",
        caption="Mean over the splits of a domain, each with the same weight, in points [adjusted interval] with the "
        "adjusted p and every seed. The comparisons of a domain are one family. The reference is RL with the outcome "
        f"alone, or else the base. {SIGNS_MEAN}",
        columns=["gain", *(DOMAINS[domain] for domain in domains)],
        rows=rows,
        main=main,
    )


def _gain(gain: Pair | None) -> Cell:
    if gain is None:
        return Cell(MISSING)
    what = "seeds" if len(gain.by_seed) == max(gain.seeds) else "pairs of models"
    seeds = f"; {what} {', '.join(map(points, gain.by_seed))}" if 1 < len(gain.by_seed) <= 8 else ""
    return Cell(
        f"{points(gain.difference)} {adjusted_interval_text(gain)} {SIGNS.get(gain.conclusion, '')}".rstrip(),
        evaluations=tuple(gain.folders),
        note=f"p {p_text(gain.p_holm)}{seeds}",
        conclusion=gain.conclusion,
    )
