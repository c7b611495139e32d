"""The data that flows: task -> trajectory (turns, calls, tokens) -> reward -> batch.

Plain records with checks at construction; no torch here. Axes: `P` prompts, `G` group size, `B` sequences, `T` tokens.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from enum import StrEnum
from itertools import groupby, pairwise
from typing import Any

SCHEMA_VERSION = 2
READABLE_VERSIONS = (1, 2)  # 1: the tool schemas stand in every stored record
RESULT_CHARS = 200  # of a call's result that are kept beside the call


class StopReason(StrEnum):
    """Why a trajectory ended."""

    ANSWERED = "answered"  # a turn without any call: the model's final turn
    LENGTH = "length"  # a turn or the whole trajectory ran out of tokens
    MAX_TURNS = "max_turns"  # the last allowed turn still called a tool
    INVALID_CALLS = "invalid_calls"  # too many turns in a row with only invalid calls
    CALLED = (
        "called"  # the last turn called a tool, and that is all there is: it is judged by its calls, or was logged so
    )


class CallError(StrEnum):
    """Why a call gave no result. The first three are errors of form, the rest happened while the tool ran."""

    MALFORMED = "malformed"  # not a JSON object with a name and an arguments object
    UNKNOWN_TOOL = "unknown_tool"
    INVALID_ARGUMENTS = "invalid_arguments"  # does not fit the tool's JSON schema
    EXCEPTION = "exception"  # the tool raised
    TIMEOUT = "timeout"
    MEMORY = "memory"
    CRASH = "crash"  # the worker died or ran past another sandbox limit (recursion, ...)
    NOT_RUN = "not_run"  # nothing wrong with its form, but the trajectory is judged by its calls alone


def kept_result(text: str) -> str:
    """Return the part of a tool's reply that is kept beside its call: the first RESULT_CHARS characters, stripped."""
    return text.strip()[:RESULT_CHARS]


@dataclass(frozen=True)
class ToolCall:
    """A call by name with its arguments as values (never as code text).

    result: what it returned (`kept_result`); None where that is not known.
    """

    name: str
    arguments: dict[str, Any]
    result: str | None = None

    def to_dict(self) -> dict[str, Any]:
        known = {} if self.result is None else {"result": self.result}
        return {"name": self.name, "arguments": self.arguments, **known}

    @classmethod
    def from_dict(cls, row: dict[str, Any]) -> ToolCall:
        if row["arguments"] is None:
            return NamedCall(row["name"], result=row.get("result"))
        return ToolCall(row["name"], row["arguments"], row.get("result"))


@dataclass(frozen=True)
class NamedCall(ToolCall):
    """A teacher's call of which only the name is known; `sequence_args` accepts any arguments for it."""

    arguments: dict[str, Any] = field(default_factory=dict)

    def to_dict(self) -> dict[str, Any]:
        return {**super().to_dict(), "arguments": None}


@dataclass(frozen=True)
class ToolResult:
    """The result of one call. `text` is exactly what the model is shown."""

    text: str
    ok: bool
    error: CallError | None = None
    seconds: float = 0.0


@dataclass(frozen=True)
class CallRecord:
    """One call the model attempted, in order, with its outcome.

    `name` is None and `arguments` empty when the call was too malformed to name a tool. In a perturbed task they are
    the tool's own, which the teacher's calls have; the messages hold what the model wrote.
    `turn` counts assistant turns of the messages from 0. `result` is not stored; `Trajectory.calls_with_results` reads
    it.
    """

    turn: int
    name: str | None
    arguments: dict[str, Any]
    ok: bool
    error: CallError | None = None
    seconds: float = 0.0
    result: str | None = None

    def __post_init__(self) -> None:
        if self.ok != (self.error is None):
            raise ValueError(f"a call is ok exactly when it has no error, got ok={self.ok} error={self.error}")

    @property
    def fits(self) -> bool:
        """Whether it ran without error, or nothing is wrong with it where calls are not run."""
        return self.ok or self.error is CallError.NOT_RUN

    @property
    def well_formed(self) -> bool:
        """A JSON call of a known tool whose arguments fit its schema, whether or not the tool then failed."""
        return self.error not in (CallError.MALFORMED, CallError.UNKNOWN_TOOL, CallError.INVALID_ARGUMENTS)

    def to_dict(self) -> dict[str, Any]:
        return {
            "turn": self.turn,
            "name": self.name,
            "arguments": self.arguments,
            "ok": self.ok,
            "error": self.error.value if self.error else None,
            "seconds": round(self.seconds, 6),
        }

    @classmethod
    def from_dict(cls, row: dict[str, Any]) -> CallRecord:
        error = CallError(row["error"]) if row.get("error") else None
        return cls(row["turn"], row["name"], row["arguments"], row["ok"], error, row.get("seconds", 0.0))


@dataclass(frozen=True)
class TaskTools:
    """A task's own tools: Python source that defines them (None where there is no code) and their schemas."""

    env: str | None
    schemas: list[dict[str, Any]]

    def to_dict(self) -> dict[str, Any]:
        return {"env": self.env, "schemas": self.schemas}


NO_TOOLS = TaskTools(None, [])
"""The tools of a task that is solved without any: its prompt offers none."""


@dataclass(frozen=True)
class Perturbation:
    """How the tools that a task is shown differ from those that run (`task.perturb`).

    key: seeds all that is drawn; each task has its own. rename: none, suffix or made_up. missing: a tool that is not
    offered.
    """

    key: str
    rename: str = "none"
    describe: bool = False
    reorder: bool = False
    distractors: int = 0
    failure_rate: float = 0.0
    missing: str | None = None


@dataclass(frozen=True)
class GoldCalls:
    """The calls that are right for a task, as BFCL writes them.

    category: simple, multiple or parallel (these calls), irrelevance (none) or relevance (any). functions: of the calls
    with the type of each argument, `{name, parameters: {properties, required}}`. accepted: one for each call,
    `{name: {argument: [accepted values]}}`, where "" says that the argument may be left out.
    """

    category: str
    functions: list[dict[str, Any]] = field(default_factory=list)
    accepted: list[dict[str, Any]] = field(default_factory=list)

    def to_dict(self) -> dict[str, Any]:
        return {"category": self.category, "functions": self.functions, "accepted": self.accepted}


@dataclass(frozen=True)
class Task:
    """A question with its accepted answers, or with the calls that are right.

    `reference` holds the teacher's calls in order: None where the teacher is unknown, empty where it used no tool.
    `source` keeps what a teacher may need from the original row (GSM8K's worked answer, a generator's program).
    `tools` are the task's own; None where it takes those of the run.
    `earlier`: the messages before the question (a system text, earlier turns); no task is asked without them.
    `answer_format`: in which the final turn gives its answer, as `task.answer_format` names it.
    `gold`: the right calls of a task without an answer, which is one turn whose calls are judged and not run.
    `perturbation`: how its tools are shown; None where they are shown as they are.
    """

    id: str
    question: str
    answer: tuple[str, ...]
    toolset: str
    split: str = "train"
    reference: tuple[ToolCall, ...] | None = None
    source: dict[str, Any] = field(default_factory=dict)
    tools: TaskTools | None = None
    earlier: tuple[dict[str, Any], ...] = ()
    answer_format: str = "boxed"
    gold: GoldCalls | None = None
    perturbation: Perturbation | None = None

    @property
    def prompt(self) -> list[dict[str, Any]]:
        """The messages that are answered: `earlier`, then the question."""
        return [*self.earlier, {"role": "user", "content": self.question}]

    def to_dict(self) -> dict[str, Any]:
        own: dict[str, Any] = {} if self.tools is None else {"tools": self.tools.to_dict()}
        if self.earlier:
            own["earlier"] = list(self.earlier)
        if self.answer_format != "boxed":
            own["answer_format"] = self.answer_format
        if self.gold is not None:
            own["gold"] = self.gold.to_dict()
        if self.perturbation is not None:
            own["perturbation"] = asdict(self.perturbation)
        return {
            "id": self.id,
            "question": self.question,
            "answer": list(self.answer),
            "toolset": self.toolset,
            "split": self.split,
            "reference": None if self.reference is None else [call.to_dict() for call in self.reference],
            **own,
        }

    @classmethod
    def from_dict(cls, row: dict[str, Any]) -> Task:
        reference = row.get("reference")
        return cls(
            id=row["id"],
            question=row["question"],
            answer=tuple(row["answer"]),
            toolset=row["toolset"],
            split=row.get("split", "train"),
            reference=None if reference is None else tuple(ToolCall.from_dict(call) for call in reference),
            tools=TaskTools(row["tools"]["env"], row["tools"]["schemas"]) if row.get("tools") else None,
            earlier=tuple(row.get("earlier", ())),
            answer_format=row.get("answer_format", "boxed"),
            gold=GoldCalls(**row["gold"]) if row.get("gold") else None,
            perturbation=Perturbation(**row["perturbation"]) if row.get("perturbation") else None,
        )


@dataclass
class Tokens:
    """The token record of one trajectory: what the sampler produced is what is trained on.

    A turn may have tokens between its own that the policy did not produce (`Episode`): they are context.

    token_ids: (T,) int; loss_mask: (T,) bool, True where the policy produced the token;
    logprobs: (T,) float, the sampler's logprob where loss_mask is True, 0.0 elsewhere.
    The three grow only through the methods below, so they stay aligned.

    starts: where each segment begins. Tokens of a segment do not attend to those of an earlier one.
    There is one, unless a turn's prompt did not continue the turn before it (`model.think_history=strip`).
    turn_starts: where each turn begins, after its prompt; none in records of versions that did not store them.
    """

    token_ids: list[int] = field(default_factory=list)
    loss_mask: list[bool] = field(default_factory=list)
    logprobs: list[float] = field(default_factory=list)
    starts: list[int] = field(default_factory=lambda: [0])
    turn_starts: list[int] = field(default_factory=list)

    def __post_init__(self) -> None:
        if self.starts[:1] != [0] or any(end <= start for start, end in pairwise([*self.starts, max(1, len(self))])):
            raise ValueError(f"segments of {len(self)} tokens start at 0 and hold a token each, got {self.starts}")
        if not len(self.token_ids) == len(self.loss_mask) == len(self.logprobs):
            raise ValueError(
                f"token_ids, loss_mask and logprobs differ in length: "
                f"{len(self.token_ids)}, {len(self.loss_mask)}, {len(self.logprobs)}"
            )

    def __len__(self) -> int:
        return len(self.token_ids)

    def append_context(self, token_ids: Sequence[int]) -> None:
        """Append prompt, tool output or template glue: loss mask False."""
        self.token_ids.extend(token_ids)
        self.loss_mask.extend([False] * len(token_ids))
        self.logprobs.extend([0.0] * len(token_ids))

    def append_sampled(self, token_ids: Sequence[int], logprobs: Sequence[float]) -> None:
        """Append tokens that the policy produced: loss mask True. Raises ValueError where the two differ in length."""
        if len(token_ids) != len(logprobs):
            raise ValueError(f"{len(token_ids)} sampled tokens came with {len(logprobs)} logprobs")
        self.token_ids.extend(token_ids)
        self.loss_mask.extend([True] * len(token_ids))
        self.logprobs.extend(logprobs)

    def append_prompt(self, token_ids: Sequence[int]) -> None:
        """Append all tokens the next turn is sampled after, which begins then.

        They continue the last segment, or begin another.
        """
        last = self.last_segment()
        if list(token_ids[: len(last)]) != last:
            self.starts.append(len(self))
            last = []
        self.append_context(token_ids[len(last) :])
        self.turn_starts.append(len(self))

    def last_segment(self) -> list[int]:
        """Return the token ids of the last segment."""
        return self.token_ids[self.starts[-1] :]

    def segments(self) -> list[Tokens]:
        """Return each segment as a separate record."""
        ends = [*self.starts[1:], len(self)]
        return [
            Tokens(self.token_ids[start:end], self.loss_mask[start:end], self.logprobs[start:end])
            for start, end in zip(self.starts, ends, strict=True)
        ]

    @property
    def longest(self) -> int:
        """Tokens of the longest segment."""
        return max(end - start for start, end in pairwise([*self.starts, len(self)]))

    @property
    def sampled(self) -> int:
        """How many tokens the policy produced."""
        return sum(self.loss_mask)


@dataclass
class Trajectory:
    """All turns for one task.

    messages: OpenAI chat shape, arguments as objects. tools: the tool schemas as JSON text.
    calls: every call attempted, with its outcome. tokens: None for a teacher's trajectory.
    response: the decoded assistant side after the prompt, special tokens included (None for a teacher's).
    isolation: the level its calls ran with (`ToolExecutor.isolation`); None without tools.
    hidden_calls: calls that a student wrote inside its thinking, where they are not run.
    cut_thoughts: turns whose thinking was closed for the student (`sampler.max_thinking_tokens`).
    """

    task: Task
    messages: list[dict[str, Any]]
    tools: str
    stop_reason: StopReason
    calls: list[CallRecord]
    tokens: Tokens | None = None
    response: str | None = None
    eos: str | None = None
    group_id: str | None = None
    isolation: str | None = None
    hidden_calls: int = 0
    cut_thoughts: int = 0

    @property
    def first_turn(self) -> int:
        """The number, from 0, of the first turn that answers the question: earlier ones are part of the task."""
        return _assistant_turns(self.task.earlier)

    @property
    def turns(self) -> int:
        """How many turns answer the question."""
        return _assistant_turns(self.messages) - self.first_turn

    @property
    def unfinished(self) -> bool:
        """Whether no turn was reached that can be judged: the final one, or with right calls the one that calls."""
        if self.task.gold is not None:
            return self.stop_reason not in (StopReason.CALLED, StopReason.ANSWERED)
        return self.final_text is None

    @property
    def final_text(self) -> str | None:
        """The content of the final turn; None where the trajectory ended before one."""
        if self.stop_reason is not StopReason.ANSWERED:
            return None
        last = self.messages[-1]
        return last["content"] if last["role"] == "assistant" else None

    def executed_calls(self) -> list[ToolCall]:
        """List the calls that ran without error, in order, with their results."""
        return [
            ToolCall(call.name, call.arguments, call.result)
            for call in self.calls_with_results()
            if call.ok and call.name is not None
        ]

    def calls_with_results(self) -> list[CallRecord]:
        """List `calls` with what each returned, from the tool messages: in a turn the n-th answers the n-th call.

        A result is None where the call failed, and in a turn that has not one tool message for each call.
        """
        replies: list[list[str]] = []  # of each assistant turn
        for message in self.messages:
            if message["role"] == "assistant":
                replies.append([])
            elif message["role"] == "tool" and replies:
                replies[-1].append(message["content"])
        found = []
        for turn, group in groupby(self.calls, key=lambda call: call.turn):
            calls = list(group)
            texts = replies[turn] if turn < len(replies) else []
            if len(texts) == len(calls):
                pairs = zip(calls, texts, strict=True)
                calls = [replace(call, result=kept_result(text)) if call.ok else call for call, text in pairs]
            found += calls
        return found

    def to_dict(self) -> dict[str, Any]:
        """Return a JSON record, which `Trajectory.from_dict` reads back."""
        row: dict[str, Any] = {
            "schema": SCHEMA_VERSION,
            "task": self.task.to_dict(),
            "messages": self.messages,
            "tools": self.tools,
            "stop_reason": self.stop_reason.value,
            "calls": [call.to_dict() for call in self.calls],
            "group_id": self.group_id,
            "isolation": self.isolation,
            "hidden_calls": self.hidden_calls,
            **({"cut_thoughts": self.cut_thoughts} if self.cut_thoughts else {}),
            "response": self.response,
            "eos": self.eos,
            "tokens": None,
        }
        if self.tokens is not None:
            row["tokens"] = {
                "token_ids": self.tokens.token_ids,
                "loss_mask": [int(trained) for trained in self.tokens.loss_mask],
                "logprobs": [round(value, 6) for value in self.tokens.logprobs],
                "turn_starts": self.tokens.turn_starts,
            }
            if len(self.tokens.starts) > 1:
                row["tokens"]["starts"] = self.tokens.starts
        return row

    @classmethod
    def from_dict(cls, row: dict[str, Any]) -> Trajectory:
        if row.get("schema") not in READABLE_VERSIONS:
            accepted = " or ".join(map(str, READABLE_VERSIONS))
            raise ValueError(f"trajectory schema {row.get('schema')!r}, accepted: {accepted}")
        return cls(
            task=Task.from_dict(row["task"]),
            messages=row["messages"],
            tools=row["tools"],
            stop_reason=StopReason(row["stop_reason"]),
            calls=[CallRecord.from_dict(call) for call in row["calls"]],
            tokens=_tokens(row.get("tokens")),
            response=row.get("response"),
            eos=row.get("eos"),
            group_id=row.get("group_id"),
            isolation=row.get("isolation"),
            hidden_calls=row.get("hidden_calls", 0),
            cut_thoughts=row.get("cut_thoughts", 0),
        )


def _assistant_turns(messages: Iterable[dict[str, Any]]) -> int:
    return sum(message["role"] == "assistant" for message in messages)


def _tokens(row: dict[str, Any] | None) -> Tokens | None:
    if row is None:
        return None
    mask = [bool(bit) for bit in row["loss_mask"]]
    return Tokens(row["token_ids"], mask, row["logprobs"], row.get("starts", [0]), row.get("turn_starts", []))


@dataclass(frozen=True)
class RewardBreakdown:
    """A total and its unweighted terms by name; a term is None where the grader failed (never a silent zero).

    parts: what each term contributes to the total, weights applied, so that they sum to it. Left empty by a reward that
    is no sum of terms, and where there is no total. weights: that the parts have, 1 where none is given.
    earned: of a part that calls earn, what those before each turn had earned of it, (K,) for K turns; only where credit
    is given by turn, and of such parts alone.
    """

    total: float | None
    terms: dict[str, float | None]
    note: str = ""
    parts: dict[str, float] = field(default_factory=dict)
    weights: dict[str, float] = field(default_factory=dict)
    earned: dict[str, tuple[float, ...]] = field(default_factory=dict)

    @property
    def contributions(self) -> dict[str, float] | None:
        """The parts, or the total as the only one; None without a total."""
        return None if self.total is None else self.parts or {"total": self.total}

    def scaled(self, names: Collection[str], factor: float) -> RewardBreakdown:
        """Multiply the parts of these names, their weights and what was earned of them; unchanged without a total."""
        if self.total is None:
            return self

        def of(values: Mapping[str, float]) -> dict[str, float]:
            return {name: value * factor if name in names else value for name, value in values.items()}

        parts = of(self.parts)
        earned = {
            name: tuple(value * factor for value in values) if name in names else values
            for name, values in self.earned.items()
        }
        total = math.fsum(parts.values()) if parts else self.total
        return replace(self, total=total, parts=parts, weights=of(self.weights), earned=earned)

    def with_part(self, name: str, value: float, weight: float = 1.0) -> RewardBreakdown:
        """Add `value`, which has the weight in it, to the total, as another part; unchanged without a total."""
        if self.contributions is None:
            return self
        parts = {**self.contributions, name: value}
        total = math.fsum(parts.values())  # rounded once
        return replace(self, total=total, parts=parts, weights={**self.weights, name: weight})

    @property
    def correct(self) -> float | None:
        """The term `correct`; None where the grader failed, 0 where the reward gave a total without grading."""
        correct = self.terms.get("correct")
        return 0.0 if correct is None and self.total is not None else correct


class GroupKind(StrEnum):
    """Whether the answers of a group were right: all, none or some."""

    MIXED = "mixed"
    ALL_FAIL = "all_fail"
    ALL_PASS = "all_pass"


def group_kind(rewards: Iterable[RewardBreakdown]) -> GroupKind | None:
    """Return the kind of a group from its graded answers; None where none was graded."""
    correct = [breakdown.correct for breakdown in rewards if breakdown.correct is not None]
    if not correct:
        return None
    if min(correct) == 1:
        return GroupKind.ALL_PASS
    return GroupKind.MIXED if max(correct) == 1 else GroupKind.ALL_FAIL


@dataclass
class TrajectoryGroup:
    """G trajectories of one task, with their rewards and, later, advantages (all of length G).

    An advantage is None where there is no total, and in a group that was dropped because enough others have a signal.
    advantage_parts: of each reward term, which sum to the advantage. turn_advantages: of each turn, where credit is
    given by turn; else there are none.
    distilled: by place in the group, what each trained token of the trajectory adds to the advantage (a teacher's).
    guidance: what the terms of the calls are multiplied by, where they fade (`reward.anneal`); else None.
    """

    task: Task
    trajectories: list[Trajectory]
    rewards: list[RewardBreakdown] = field(default_factory=list)
    advantages: list[float | None] = field(default_factory=list)
    advantage_parts: list[dict[str, float] | None] = field(default_factory=list)
    turn_advantages: list[list[float] | None] = field(default_factory=list)
    distilled: dict[int, list[float]] = field(default_factory=dict)
    guidance: float | None = None

    @property
    def kind(self) -> GroupKind | None:
        """The kind of the graded answers; None where none was graded."""
        return group_kind(self.rewards)
