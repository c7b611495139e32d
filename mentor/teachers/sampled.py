"""Select one verified trajectory from several tries at a task: grade each, log its verdict, choose among the right.

samples.jsonl has one record for each try, right or wrong.
"""

from __future__ import annotations

import asyncio
import hashlib
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

from mentor.jsonl import JsonlWriter, Record, Report, read_jsonl
from mentor.rewards.answer_formats import final_answer
from mentor.rewards.call_judge import calls_verdict
from mentor.rewards.correctness import Grader
from mentor.teachers.base import Teacher
from mentor.teachers.outcomes import TRAJECTORIES, Rejection
from mentor.teachers.selection import call_graph, coverage, distinct, ranked
from mentor.tools import Toolbox
from mentor.trajectories.store import load_trajectories
from mentor.types import CallError, StopReason, Task, Trajectory

SAMPLES = "samples.jsonl"


class Verifier:
    """Grades tries and chooses one. choose: see `selection.ranked`. log: receives the verdict on every try."""

    def __init__(self, grader: Grader, choose: str, log: JsonlWriter) -> None:
        self.grader, self.choose, self.log = grader, choose, log

    async def outcome(self, task: Task, tries: Sequence[Trajectory | Rejection]) -> Trajectory | Rejection:
        """Grade the tries and return the chosen right one, its calls as the task's reference, or a rejection."""
        return self.conclude(task, [await asyncio.to_thread(self.judged, entry) for entry in tries])

    def conclude(self, task: Task, judged: Sequence[Trajectory | Rejection]) -> Trajectory | Rejection:
        """As `outcome`, from tries that are graded already."""
        right = [entry for entry in judged if isinstance(entry, Trajectory)]
        paths = distinct(ranked(right, self.choose))
        for sample, entry in enumerate(judged):
            self.log.write({"id": task.id, "sample": sample, **_verdict(entry, bool(paths) and entry is paths[0])})
        if not paths:
            return _rejection([entry for entry in judged if isinstance(entry, Rejection)])
        task = paths[0].task
        reference = tuple(paths[0].executed_calls()) if task.gold is None else task.reference
        return replace(paths[0], task=replace(task, reference=reference))

    def judged(self, attempt: Trajectory | Rejection) -> Trajectory | Rejection:
        """Return the try where its final answer is right and no call was malformed, else a rejection.

        Of a task that is judged by its calls, where these are right.
        """
        if isinstance(attempt, Rejection):
            return attempt
        if attempt.task.gold is not None and attempt.stop_reason in (StopReason.CALLED, StopReason.ANSWERED):
            verdict = calls_verdict(attempt)
            return attempt if verdict.valid else Rejection("wrong_calls", verdict.why)
        if attempt.stop_reason is not StopReason.ANSWERED:
            return Rejection(attempt.stop_reason.value, f"ended after {attempt.turns} turns without an answer")
        if any(call.error is CallError.MALFORMED for call in attempt.calls):
            return Rejection("invalid_calls", "made a malformed call on the way")
        answer = final_answer(attempt)
        if answer is None:
            form = attempt.task.answer_format
            return Rejection("no_answer", f"the final turn has no answer in the format task.answer_format={form}")
        right = self.grader.grade(answer, attempt.task.answer)
        if right:
            return attempt
        accepted = " or ".join(attempt.task.answer)
        if right is None:
            return Rejection("ungraded", f"{answer[:80]} could not be compared with {accepted}")
        return Rejection("wrong_answer", f"answered {answer[:80]}, the answer is {accepted}")


@contextmanager
def open_verifier(folder: Path, choose: str, report: Report) -> Iterator[Verifier]:
    """Open a verifier that writes its verdicts into the samples.jsonl of a rollout folder."""
    with JsonlWriter(folder / SAMPLES, report) as log, Grader() as grader:
        yield Verifier(grader, choose, log)


class SamplingTeacher(Teacher):
    """A teacher that samples several tries at a task, of which a right one is kept."""

    def counts(self, folder: Path, tasks: Sequence[Task], toolbox: Toolbox, report: Report) -> dict[str, Any]:
        """`tries`: see `sample_counts`. `coverage`: of the kept trajectories, see `selection.coverage`."""
        kept = load_trajectories(folder / TRAJECTORIES, report, schemas=False)
        tools = dict.fromkeys(name for task in tasks for name in toolbox.toolset(task).names)
        return {"tries": sample_counts(folder / SAMPLES, report), "coverage": coverage(kept, tasks, list(tools))}


def latest_samples(path: Path, report: Report) -> list[Record]:
    """Read the verdict on every try from samples.jsonl, none without it; of a task that was cut off, the later one."""
    if not path.exists():
        return []
    return list({(record["id"], record["sample"]): record for record in read_jsonl(path, report)}.values())


def sample_counts(path: Path, report: Report) -> dict[str, Any]:
    """Count all tries by verdict, from samples.jsonl.

    distinct_paths: distinct call graphs of the right tries, summed over tasks.
    """
    latest = latest_samples(path, report)
    right = [record for record in latest if record["reason"] is None]
    reasons = Counter(record["reason"] for record in latest if record["reason"] is not None)
    return {
        "samples": len(latest),
        "correct": len(right),
        "sample_pass_rate": round(len(right) / max(1, len(latest)), 6),
        "distinct_paths": len({(record["id"], record["graph"]) for record in right}),
        "reasons": dict(reasons.most_common()),
    }


def _verdict(entry: Trajectory | Rejection, chosen: bool) -> Record:
    if isinstance(entry, Rejection):
        return {"reason": entry.reason, "detail": entry.detail, "calls": None, "graph": None, "chosen": False}
    graph = hashlib.sha256(" ".join(call_graph(entry)).encode()).hexdigest()[:16]
    return {"reason": None, "detail": None, "calls": len(entry.calls), "graph": graph, "chosen": chosen}


def _rejection(rejections: Sequence[Rejection]) -> Rejection:
    """Reject the task for the most frequent reason of its tries."""
    reason, times = Counter(entry.reason for entry in rejections).most_common(1)[0]
    detail = next(entry.detail for entry in rejections if entry.reason == reason)
    return Rejection(reason, detail if len(rejections) == 1 else f"{times} of {len(rejections)} tries: {detail}")
