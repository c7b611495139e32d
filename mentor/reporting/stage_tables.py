"""Tables of the stages: what each spent, and from which configuration, code and packages."""

from __future__ import annotations

from datetime import UTC, datetime

from mentor.reporting.records import Report, StageRecord
from mentor.reporting.tables import MISSING, Cell, Table, number, plain


def cost_table(report: Report) -> Table:
    """What every stage folder spent."""
    return Table(
        title="Cost by stage",
        caption="Steps, tokens and step seconds are sums over all logged steps. Seconds: the process that finished the "
        "stage, on the machine that ran it; compare machines by tokens. A folder's name leads to its provenance.",
        columns=[
            "stage folder",
            "status",
            "steps",
            "sampled tokens",
            "trained tokens",
            "step seconds",
            "seconds",
            "seconds per phase",
        ],
        rows=[_cost_row(record) for record in report.stages],
        text_columns=(0, 1, 7),
    )


def _cost_row(record: StageRecord) -> list[Cell]:
    phases = ", ".join(f"{phase} {seconds:,.1f}" for phase, seconds in record.seconds.items() if phase != "total")
    spent = [
        number(record.steps),
        number(record.sampled_tokens),
        number(record.trained_tokens),
        number(record.step_seconds, 1),
        number(record.seconds.get("total"), 1),
    ]
    return [Cell(record.folder, stage=record.folder), *plain(record.status or MISSING, *spent, phases or MISSING)]


def provenance_table(report: Report) -> Table:
    """Which configuration, seed and code made each folder."""
    return Table(
        title="Provenance",
        caption="Every folder also holds its resolved config.yaml.",
        columns=["stage folder", "config hash", "seed", "commit", "started (UTC)"],
        rows=[plain(record.folder, *provenance(record).values()) for record in report.stages],
        text_columns=(0, 1, 2, 3, 4),
    )


def provenance(record: StageRecord) -> dict[str, str]:
    """What made a folder, as the page shows it."""
    return {
        "config hash": str(record.config_hash or MISSING),
        "seed": MISSING if record.seed is None else str(record.seed),
        "commit": short_commit(record.git_commit),
        "started (UTC)": started_at(record.started),
    }


def short_commit(commit: str | None) -> str:
    """Twelve digits, with `-dirty` kept."""
    if commit is None:
        return MISSING
    digits, _, state = commit.partition("-")
    return f"{digits[:12]}-{state}" if state else digits[:12]


def started_at(seconds: float | None) -> str:
    return MISSING if seconds is None else datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%d %H:%M:%S")


def package_versions(record: StageRecord) -> str:
    return ", ".join(f"{package} {version}" for package, version in record.versions.items()) or MISSING


def versions_table(report: Report) -> Table:
    """The package versions, one row for each set of them that stages ran with."""
    folders: dict[str, list[str]] = {}
    for record in report.stages:
        folders.setdefault(package_versions(record), []).append(record.folder)
    everywhere = len(folders) == 1
    return Table(
        title="Versions",
        caption="Of the packages in the environment each stage ran in.",
        columns=["stage folders", "versions"],
        rows=[plain("all" if everywhere else ", ".join(names), listed) for listed, names in folders.items()],
        text_columns=(0, 1),
    )
