"""Tables of the stages: their cost, and the configuration, code and packages they ran with."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import UTC, datetime

from mentor.reporting.read.lineage import ancestors
from mentor.reporting.read.methods import method_of, trained_folders
from mentor.reporting.read.order import distinct
from mentor.reporting.read.records import Parity, Report, StageRecord
from mentor.reporting.read.stages import TRAINING_STAGES
from mentor.reporting.tables.table import MISSING, Cell, Table, number, plain

MAX_SHOWN = 40  # stage folders whose costs are shown without unfolding


def cost_table(report: Report) -> Table:
    """Build the table of the cost of every stage folder, with sums."""
    return Table(
        title="Cost by stage",
        caption="Steps, updates (of the optimiser), tokens and step seconds are sums over all logged steps. Trained "
        "tokens: in pretrain and SFT those in the loss, in RL all that the updates went through, prompts included. "
        "Tokens per correct: sampled tokens over correct answers. Seconds: the process that finished the stage, on the "
        "machine that ran it; compare machines by tokens. A folder's name links to its provenance.",
        columns=[
            "stage folder",
            "status",
            "steps",
            "updates",
            "sampled tokens",
            "trained tokens",
            "tokens per correct",
            "step seconds",
            "seconds",
            "seconds per phase",
        ],
        rows=[*(_cost_row(record) for record in report.stages), _total_row(report.stages)],
        text_columns=(0, 1, 9),
        main=len(report.stages) <= MAX_SHOWN,
    )


def _cost_row(record: StageRecord) -> list[Cell]:
    phases = ", ".join(f"{phase} {seconds:,.1f}" for phase, seconds in record.seconds.items() if phase != "total")
    return [
        Cell(record.folder, stage=record.folder),
        *plain(record.status or MISSING, number(record.steps), number(record.updates), number(record.sampled_tokens)),
        *plain(number(record.trained_tokens), number(tokens_per_correct(record.sampled_tokens, record.correct))),
        *plain(number(record.step_seconds, 1), number(spent_seconds(record), 1), phases or MISSING),
    ]


def _total_row(records: Sequence[StageRecord]) -> list[Cell]:
    """Sums over the stages that logged a number."""
    steps, updates, sampled, trained, stepped, seconds = (
        sum(known) if (known := [value for value in values if value is not None]) else None
        for values in zip(
            *(
                (r.steps, r.updates, r.sampled_tokens, r.trained_tokens, r.step_seconds, spent_seconds(r))
                for r in records
            ),
            strict=True,
        )
    )
    return [
        *plain("all", MISSING, number(steps), number(updates), number(sampled), number(trained), MISSING),
        *plain(number(stepped, 1), number(seconds, 1), MISSING),
    ]


def spent_seconds(record: StageRecord) -> float | None:
    """Return the stage's total seconds, or else the sum of its phases."""
    return record.seconds.get("total", sum(record.seconds.values()) if record.seconds else None)


def method_cost_table(report: Report) -> Table:
    """Build the table of the cost of training and running each method: means over its training seeds."""
    trained = trained_folders(report)
    groups: dict[str, list[StageRecord]] = {}
    for record in report.stages:
        if record.stage in ("pretrain", "sft", "rl"):
            groups.setdefault(method_of(record.folder, trained), []).append(record)
    names = distinct([*groups, *(method.method for method in report.methods)])
    return Table(
        title="Cost by method",
        caption="Training: means over the seeds of the method's own stage, without what it was trained from. Teacher "
        "tokens: those that a teacher was shown. Tokens per correct answer: all sampled tokens over all "
        "correct answers, in training and in every evaluation.",
        columns=[
            "method",
            "seeds",
            "updates",
            "sampled tokens",
            "trained tokens",
            "teacher tokens",
            "seconds",
            "tokens per correct, training",
            "tokens per correct, evaluation",
        ],
        rows=[_method_row(name, groups.get(name, []), report) for name in names],
    )


def _method_row(method: str, records: Sequence[StageRecord], report: Report) -> list[Cell]:
    models = {model for m in report.methods if m.method == method for model in m.models}
    answers = [result for result in report.results if result.model in models]
    return plain(
        method,
        number(len(records) or len(models)),
        number(_mean(record.updates for record in records)),
        number(_mean(record.sampled_tokens for record in records)),
        number(_mean(record.trained_tokens for record in records)),
        number(_mean(record.counts.get("teacher_tokens") for record in records)),
        number(_mean(spent_seconds(record) for record in records), 1),
        number(tokens_per_correct(_sum(r.sampled_tokens for r in records), _sum(r.correct for r in records))),
        number(tokens_per_correct(_sum(r.sampled_tokens for r in answers), _sum(r.correct for r in answers))),
    )


def _mean(values: Iterable[float | None]) -> float | None:
    """None unless all are known: a mean over some seeds would be another number."""
    listed = list(values)
    total = _sum(listed)
    return None if total is None else total / len(listed)


def _sum(values: Iterable[float | None]) -> float | None:
    listed = list(values)
    known = [value for value in listed if value is not None]
    return sum(known) if listed and len(known) == len(listed) else None


def tokens_per_correct(tokens: float | None, correct: float | None) -> float | None:
    """Divide tokens by correct answers; None where either is unknown or 0."""
    return tokens / correct if tokens and correct else None


def provenance_table(report: Report) -> Table:
    """Build the table of the configuration, seed and code of each folder."""
    return Table(
        title="Provenance",
        caption="Every folder also holds its resolved config.yaml. Trained from: the models before it, the first one "
        "first.",
        columns=["stage folder", "trained from", "config hash", "seed", "commit", "started (UTC)"],
        rows=[
            plain(record.folder, trained_from(record, report), *provenance(record).values()) for record in report.stages
        ],
        text_columns=(0, 1, 2, 3, 4, 5),
    )


def trained_from(record: StageRecord, report: Report) -> str:
    """Join the models that a stage's model comes from, as `pretrain-s0 > sft-s0`."""
    before = ancestors(record.folder, report.stages)[:0:-1]
    return " > ".join(before) or MISSING


def provenance(record: StageRecord) -> dict[str, str]:
    """Format configuration, seed, code and start of a folder."""
    return {
        "config hash": str(record.config_hash or MISSING),
        "seed": MISSING if record.seed is None else str(record.seed),
        "commit": short_commit(record.git_commit),
        "started (UTC)": started_at(record.started),
    }


def short_commit(commit: str | None) -> str:
    """Cut a commit to twelve digits, with `-dirty` kept."""
    if commit is None:
        return MISSING
    digits, _, state = commit.partition("-")
    return f"{digits[:12]}-{state}" if state else digits[:12]


def started_at(seconds: float | None) -> str:
    """Format unix seconds as a time in UTC."""
    return MISSING if seconds is None else datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%d %H:%M:%S")


def package_versions(record: StageRecord) -> str:
    """Join the versions of the packages a stage ran with."""
    return ", ".join(f"{package} {version}" for package, version in record.versions.items()) or MISSING


def parity_table(report: Report) -> Table:
    """Build the table of the models that were trained or tried with stage=parity, and what it found."""
    tried = {record.model: record for record in report.parity}
    trained = [record.folder for record in report.stages if record.stage in TRAINING_STAGES]
    return Table(
        title="Parity",
        caption="Whether a model says the same, to the token, in rollouts with training's settings, in eval and in "
        "serve, as `mentor stage=parity` found.",
        columns=["model", "parity", "conversations", "largest difference of logprobs", "ended (UTC)"],
        rows=[_parity_row(name, tried.get(name)) for name in dict.fromkeys([*trained, *tried])],
        text_columns=(0, 1, 4),
    )


def _parity_row(model: str, record: Parity | None) -> list[Cell]:
    if record is None:
        return plain(model, "not tried", MISSING, MISSING, MISSING)
    found = "passed" if record.passed else "differs"
    return [
        Cell(model),
        Cell(found if record.current else f"{found}, with other weights", note="; ".join(record.differences[:1])),
        *plain(number(sum(record.compared.values())), f"{record.logprob_gap:.1g}", started_at(record.ended)),
    ]


def versions_table(report: Report) -> Table:
    """Build the table of package versions, one row for each set of them that stages ran with."""
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
