"""Plays the cases of a few tasks through the real environment, scores them, and looks for rules that are broken."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from mentor.chat import ChatFormat
from mentor.environment import Environment, RolloutLimits, RolloutRequest
from mentor.errors import GraderError
from mentor.linting.cases import Case, CaseWriter
from mentor.linting.rules import Rule, broken_rules
from mentor.rewards import Reward
from mentor.sampling.scripted_sampler import ScriptedSampler
from mentor.tools import Toolbox
from mentor.types import Task, Trajectory

UNBOUNDED = RolloutLimits(max_turns=10_000, max_turn_tokens=10**6, max_tokens=10**8, max_invalid_turns=10_000)


@dataclass(frozen=True)
class Finding:
    """A rule that a reward breaks on a task, with the two scores."""

    task_id: str
    rule: Rule
    better: float
    worse: float

    def __str__(self) -> str:
        return (
            f"{self.rule.why}: {self.rule.worse!r} scores {self.worse:.3f}, {self.rule.better!r} {self.better:.3f} "
            f"(task {self.task_id})"
        )


@dataclass(frozen=True)
class Lint:
    """The result of a lint. scores: of every case, by task id."""

    scores: dict[str, dict[str, float]]
    findings: list[Finding]

    def table(self) -> str:
        """Format the scores: a line for each case, a column for each task, the highest scores first."""
        tasks = list(self.scores)
        names = dict.fromkeys(name for own in self.scores.values() for name in own)
        cases = sorted(names, key=lambda name: [-self.scores[task].get(name, 0.0) for task in tasks])
        heads = [f"reward of task {number}: {task}" for number, task in enumerate(tasks, start=1)]
        numbers = "".join(f"{number:8}" for number in range(1, len(tasks) + 1))
        rows = ["".join(shown(self.scores[task].get(name)) for task in tasks) + f"  {name}" for name in cases]
        return "\n".join([*heads, numbers, *rows])


def shown(score: float | None) -> str:
    """Format a score in eight characters; None is a case that the chat format cannot spell for this task."""
    return "       -" if score is None else f"{score:8.3f}"


def lint_reward(reward: Reward, tasks: Sequence[Task], toolbox: Toolbox, chat: ChatFormat) -> Lint:
    """Score every case of every task, each in a group by itself, and list the rules that are broken.

    tasks: those that `usable` returns.

    Raises GraderError where the grader gives no verdict on a case.
    """
    scores: dict[str, dict[str, float]] = {}
    findings: list[Finding] = []
    for task, cases, played in play(tasks, toolbox, chat, reward.compares_results):
        scored = [reward.score([trajectory])[0] for trajectory in played]
        totals = [breakdown.total for breakdown in scored]
        own = {case.name: total for case, total in zip(cases, totals, strict=True) if total is not None}
        if len(own) < len(cases):
            missing = ", ".join(repr(case.name) for case in cases if case.name not in own)
            why = next(breakdown.note for breakdown in scored if breakdown.total is None)
            raise GraderError(f"task {task.id}: the grader gave no verdict on {missing} ({why})")
        scores[task.id] = own
        turns = {case.name: case.turns for case in cases}
        findings += [
            Finding(task.id, rule, own[rule.better], own[rule.worse])
            for rule in broken_rules(own, reward.compares_results)
            if turns[rule.better] != turns[rule.worse]  # where the teacher's own calls are such an exploit
        ]
    return Lint(scores, findings)


def play(
    tasks: Sequence[Task], toolbox: Toolbox, chat: ChatFormat, of_results: bool = False
) -> list[tuple[Task, list[Case], list[Trajectory]]]:
    """Run the cases of each task with its tools; return each task with its cases and their trajectories."""
    cases = [(task, CaseWriter(task, chat).cases(of_results)) for task in tasks]
    flat = [(task, case) for task, own in cases for case in own]
    script = {str(index): [*encoded(case, chat)] for index, (_, case) in enumerate(flat)}
    requests = [RolloutRequest(with_reference(task, case), seed=0) for task, case in flat]
    with Environment(ScriptedSampler(script, chat.end_ids), toolbox, chat, UNBOUNDED) as environment:
        played = iter(environment.rollout(requests))
    return [(task, own, [next(played) for _ in own]) for task, own in cases]


def encoded(case: Case, chat: ChatFormat) -> list[list[int]]:
    turns = [chat.ended(turn) for turn in case.turns]
    if case.cut:
        turns[-1] = turns[-1][:-1]
    return turns


def with_reference(task: Task, case: Case) -> Task:
    return task if case.teacher_used_tools else replace(task, reference=())
