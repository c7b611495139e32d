"""What a report is made of, unformatted: every output (HTML, Markdown, JSON, figures) comes from one `Report`."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import Any

NO_TOOLS = "-no-tools"  # at the end of a mode


@dataclass(frozen=True)
class StageRecord:
    """What one stage folder says about itself.

    `seconds` is per phase, of the process that finished the stage; `started` and `ended` are unix seconds. The last
    four fields are sums over metrics.jsonl, so they cover resumed stages whole; None where nothing of it was logged.
    """

    folder: str
    stage: str | None
    status: str | None
    seed: int | None
    config_hash: str | None
    git_commit: str | None
    versions: dict[str, str]
    counts: dict[str, Any]
    seconds: dict[str, float]
    headline: dict[str, Any] | None
    started: float | None
    ended: float | None
    steps: int | None = None
    sampled_tokens: float | None = None
    trained_tokens: float | None = None
    step_seconds: float | None = None


@dataclass(frozen=True)
class ToolCounts:
    """Calls per tool name over the same answers: those of the student that ran, and the teacher's."""

    student: dict[str, int]
    teacher: dict[str, int]


@dataclass(frozen=True)
class EvalResult:
    """One model on one split in one decoding mode; rates and interval bounds are shares between 0 and 1.

    `mode` ends in `-no-tools` where none were offered. `domain_of` is the data set that `domain` refers to. `scores`
    are the benchmark's own numbers and pass@k. `n` counts tasks and `ungraded` the trajectories no verdict was reached
    on. `folder` is where the row was read.
    `base` names the evaluated model this one was trained from, `base_low` and `base_high` its interval on the same
    split in the same mode, `apart_from_base` whether the two are disjoint: None for a base and without one to compare.
    """

    model: str
    benchmark: str
    split: str
    domain: str
    mode: str
    n: int
    accuracy: float | None
    low: float | None
    high: float | None
    valid_call_rate: float | None
    calls_per_answer: float | None
    tool_similarity: float | None
    stop_reasons: dict[str, float]
    ungraded: int | None = None
    domain_of: str | None = None
    scores: dict[str, float] = field(default_factory=dict)
    tools: ToolCounts | None = None
    folder: str = ""
    base: str | None = None
    base_low: float | None = None
    base_high: float | None = None
    apart_from_base: bool | None = None

    @property
    def is_base(self) -> bool:
        return self.base == self.model


@dataclass(frozen=True)
class Curve:
    """One metric of one training folder over its steps; a value that was not finite is None."""

    folder: str
    metric: str
    steps: list[int]
    values: list[float | None]


@dataclass(frozen=True)
class Origin:
    """One folder a number comes from, and as what. `folder` may be the name of a model this run did not make."""

    role: str
    folder: str


@dataclass(frozen=True)
class Report:
    """All numbers of a run. `origins`: per evaluation folder, what its numbers come from, nearest first."""

    title: str
    run: str
    stages: list[StageRecord]
    results: list[EvalResult]
    curves: list[Curve]
    origins: dict[str, list[Origin]] = field(default_factory=dict)
    missing: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    def to_dict(self) -> dict[str, Any]:
        return {"schema": 1, **asdict(self)}
