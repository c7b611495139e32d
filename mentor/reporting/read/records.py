"""The unformatted data of a report: HTML, Markdown, JSON and figures are all made from one `Report`."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import Any


@dataclass(frozen=True)
class StageRecord:
    """What one stage folder says about itself.

    `seconds` is per phase, of the process that finished the stage; `started` and `ended` are unix seconds. The fields
    from `steps` on are sums over metrics.jsonl or over the trajectories of an evaluation, so they cover resumed stages
    whole; None where nothing of it was logged. `correct` counts correct answers.
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
    updates: float | None = None
    correct: float | None = None


@dataclass(frozen=True)
class ToolCounts:
    """Calls per tool name over the same answers: those of the student that ran, and the teacher's."""

    student: dict[str, int]
    teacher: dict[str, int]


@dataclass(frozen=True)
class EvalResult:
    """One model on one split in one decoding mode; rates and interval bounds are shares between 0 and 1.

    `n` counts tasks and `ungraded` the trajectories without a verdict. `with_tools` is False where the model had none,
    None where the row does not say. `domain_of` is the data set that `domain` refers to. `pass_at` is by number of
    tries, `scores` and `tool_use` by name. `folder` is where the row was read. `base` names the evaluated model this
    one was trained from, itself for a base. `sampled_tokens` and `correct` are sums over the trajectories of the row;
    None without them.
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
    tools: ToolCounts | None = None
    folder: str = ""
    base: str | None = None
    with_tools: bool | None = None
    domain_of: str | None = None
    pass_at: dict[str, float | None] = field(default_factory=dict)
    scores: dict[str, float | None] = field(default_factory=dict)
    tool_use: dict[str, float | None] = field(default_factory=dict)
    sampled_tokens: int | None = None
    correct: int | None = None

    @property
    def is_base(self) -> bool:
        return self.base == self.model

    @property
    def setting(self) -> str:
        return setting_name(self.mode, self.with_tools)


def setting_name(mode: str, with_tools: bool | None) -> str:
    """Name how the answers were decoded: `sampled`, `greedy`, `sampled, without tools`, ..."""
    return f"{mode}, without tools" if with_tools is False else mode


@dataclass(frozen=True)
class MethodResult:
    """The models that differ in their training seed alone, on one split in one setting.

    `accuracy` is the mean over them, and [low, high] its 95 % interval: over seeds and questions, or over the `n` tasks
    for a single model. `seeds`: of the models; None for one that this run did not make. `by_seed`: their accuracies.
    `base` is the method trained from, itself for a base. `against_base`: the conclusion of the comparison with it, see
    `Pair`; None for a base and without a base to compare with.
    """

    method: str
    benchmark: str
    split: str
    domain: str
    setting: str
    n: int
    models: list[str]
    seeds: list[int | None]
    folders: list[str]
    accuracy: float
    low: float
    high: float
    by_seed: list[float]
    base: str | None
    against_base: str | None = None


@dataclass(frozen=True)
class Pair:
    """Two methods on the same `n` tasks: the difference of their accuracies (first - second, shares) and its tests.

    `seeds`: how many each has. `by_seed`: the difference of each seed; of every two models where seeds do not match.
    `over_seeds`: whether [low, high] and `p` are about other seeds too, or about these models on other questions only.
    The 95 % interval [low, high] and `p` are of this comparison alone; [low_holm, high_holm] and `p_holm` are adjusted
    for all of its family. Either interval leaves out 0 exactly where its p is below 0.05. `p_here_holm`: about these
    models. `conclusion` is about the first: `better` or `worse` where the difference is significant over seeds; `better
    here` or `worse here` where it is so for these models alone and every seed agrees in sign; else `not significant`.
    """

    first: str
    second: str
    benchmark: str
    split: str
    domain: str
    setting: str
    n: int
    seeds: tuple[int, int]
    difference: float
    by_seed: list[float]
    over_seeds: bool
    low: float
    high: float
    p: float
    low_holm: float
    high_holm: float
    p_holm: float
    p_here_holm: float
    conclusion: str
    folders: list[str]


@dataclass(frozen=True)
class SweepPoint:
    """One point of a multirun. `overrides`: what it sets, by key. `headline`: the number its stage ended with.

    `results`: rows of evaluations below the point's own folder.
    """

    name: str
    status: str
    overrides: dict[str, Any]
    headline_name: str | None
    headline: float | None
    error: str | None
    results: list[EvalResult] = field(default_factory=list)


@dataclass(frozen=True)
class Sweep:
    """All points of one multirun, and the keys whose values differ between them; the seed is not one of these."""

    id: str
    keys: list[str]
    points: list[SweepPoint]


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
class Parity:
    """What stage=parity found of a model. current: whether the model's weights are those that were tried."""

    model: str
    passed: bool
    current: bool
    differences: list[str]
    compared: dict[str, int]
    logprob_gap: float | None
    ended: float | None


@dataclass(frozen=True)
class Report:
    """All numbers of a run. `origins`: per evaluation folder, what its numbers come from, nearest first.

    `means`: of each method over the splits of a domain. `gains`: of each over the reference, on these means.
    """

    title: str
    run: str
    stages: list[StageRecord]
    results: list[EvalResult]
    curves: list[Curve]
    origins: dict[str, list[Origin]] = field(default_factory=dict)
    methods: list[MethodResult] = field(default_factory=list)
    pairs: list[Pair] = field(default_factory=list)
    means: list[MethodResult] = field(default_factory=list)
    gains: list[Pair] = field(default_factory=list)
    sweeps: list[Sweep] = field(default_factory=list)
    missing: list[str] = field(default_factory=list)
    caveats: list[str] = field(default_factory=list)
    parity: list[Parity] = field(default_factory=list)

    def to_dict(self) -> dict[str, Any]:
        return {"schema": 4, **asdict(self)}
