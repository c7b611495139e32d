"""When a training stage saves, evaluates and ends, which checkpoints it keeps, and which of them becomes its model.

All of it follows from metrics.jsonl and the checkpoints on disk, so that a resumed stage decides as an unbroken one.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from time import perf_counter
from typing import Any

from mentor.errors import InputError
from mentor.jsonl import read_jsonl
from mentor.loggers import Logger
from mentor.loggers.metrics_file import EVAL_SECONDS, PHASE, is_evaluation
from mentor.policy.checkpoint import (
    agreed_checkpoint,
    checkpoint_path,
    checkpoint_steps,
    drop_checkpoints,
    save_checkpoint,
)
from mentor.policy.policy import Policy
from mentor.policy.ranks import Ranks
from mentor.progress import phase

Evaluate = Callable[[int], Mapping[str, float]]
"""Evaluates the policy after a step, on every rank; returns the metrics, the same ones to all."""


@dataclass(frozen=True)
class ControlSettings:
    """keep: best, last, all, or how many of the newest. metric: of metrics.jsonl; the best step has the highest, or the
    lowest, of those that are saved. patience: measurements of it in a row without a new best. max_seconds: of steps and
    evaluations, those before a resume included.
    """

    steps: int
    save_every: int
    eval_every: int | None = None
    keep: str = "2"
    metric: str | None = None
    lowest: bool = False
    patience: int | None = None
    max_seconds: float | None = None


class TrainingControl:
    """Of one stage. Every rank calls every method alike, and rank 0's files and clock decide.

    stopped_by: the key of the trainer that ended the stage before its last step; None as long as none does.
    """

    def __init__(
        self, folder: Path, settings: ControlSettings, policy: Policy, logger: Logger, ranks: Ranks | None = None
    ) -> None:
        self.folder, self.settings, self.policy, self.logger = folder, settings, policy, logger
        self.ranks = ranks or Ranks()
        self.checkpoints = folder / "checkpoints"
        self.stopped_by: str | None = None
        self.eval_seconds = 0.0  # of this process
        self.model_step = 0  # of the weights that become the stage's model, once `load_model` has been called
        self.step = 0  # the last one that is done
        self._scores: dict[int, float] = {}
        self._seconds = 0.0
        self._evaluated: set[int] = set()
        self._evaluate: Evaluate | None = None

    def resume(self) -> int:
        """Load the newest checkpoint, roll back the metrics logged after it, and return the steps already done."""
        if found := agreed_checkpoint(self.checkpoints, self.ranks):
            self.step, path = found
            self.policy.load_state(path)
            self.logger.message(f"resuming after step {self.step}")
        self.logger.roll_back(self.step)
        self.ranks.barrier()  # the others read what rank 0 has rolled back
        stored = self.folder / "metrics.jsonl"
        for row in read_jsonl(stored) if self.step and stored.is_file() else ():
            self._note(row["step"], row)
        self._decide()
        return self.step

    def steps_left(self, evaluate: Evaluate | None = None) -> Iterator[int]:
        """Yield the number of each step to take; first finish an evaluation that was broken off."""
        self._evaluate = evaluate
        if self.step not in self._evaluated and self._evaluates(self.step):
            self._run_evaluation(self.step)
        while not self._ends(self.step):
            yield self.step + 1

    def log(self, step: int, metrics: Mapping[str, float]) -> bool:
        """Log the metrics of a step that was taken. Returns whether it may be the last one of the stage."""
        self.logger.log(step, metrics)
        self.step = step
        self._note(step, metrics)
        self._check_metric(metrics, in_evaluation=False)
        self._decide()
        return self._ends(step) or (self.settings.patience is not None and self._evaluates(step))

    def finish(self, step: int) -> None:
        """Save, evaluate and drop what is due after a step."""
        evaluates = self._evaluates(step)
        if evaluates or step % self.settings.save_every == 0 or self._ends(step):
            save_checkpoint(self.checkpoints, step, self.policy.save_state, self.ranks)
            self._drop()
        if evaluates:
            self._run_evaluation(step)

    def load_model(self) -> None:
        """Give the policy the weights that become the stage's model: those of the last step, or of the best."""
        self.model_step = self.step
        best = self.ranks.all_gather(self._best())[0] if self.settings.keep == "best" else None
        if self.stopped_by is not None:
            self.logger.message(f"{self.stopped_by} ended the stage after step {self.step} of {self.settings.steps}")
        if self.settings.keep == "best" and best is None:
            self.logger.message(f"no step has {self.settings.metric}: model/ is that of the last step, {self.step}")
        if best is None:
            return
        if best != self.step:
            self.policy.load_weights(checkpoint_path(self.checkpoints, best))
        self.model_step = best
        kind = "lowest" if self.settings.lowest else "highest"
        metric = f"{self.settings.metric}={self._scores.get(best, math.nan):.4g}"
        self.logger.message(f"model/ is that of step {best} of {self.step}, with the {kind} {metric}")

    def counts(self) -> dict[str, Any]:
        """Return for the summary which step the model is of, where it may not be the last, and what ended the stage.

        The time budget is under `stopped_by`: the same command with a larger one goes on.
        """
        found: dict[str, Any] = {} if self.settings.keep != "best" else {"model_step": self.model_step}
        if self.stopped_by is not None:
            found["stopped_by" if self.stopped_by == "trainer.max_hours" else "ended_by"] = self.stopped_by
        return found

    def _note(self, step: int, row: Mapping[str, Any]) -> None:
        self._seconds += sum(value or 0.0 for key, value in row.items() if PHASE.fullmatch(key))
        if is_evaluation(row):
            self._evaluated.add(step)
        value = row.get(self.settings.metric or "")
        if value is not None and math.isfinite(value):
            self._scores[step] = value

    def _decide(self) -> None:
        """Agree whether the stage ends here."""
        if self.settings.patience is not None or self.settings.max_seconds is not None:
            self.stopped_by = self.ranks.all_gather(self._reason())[0]

    def _reason(self) -> str | None:
        patience, limit = self.settings.patience, self.settings.max_seconds
        if patience is not None and self._scores:
            best = self._highest(self._scores)
            if sum(step > best for step in self._scores) >= patience:
                return "trainer.patience"
        return "trainer.max_hours" if limit is not None and self._seconds >= limit else None

    def _ends(self, step: int) -> bool:
        return step >= self.settings.steps or self.stopped_by is not None

    def _evaluates(self, step: int) -> bool:
        every = self.settings.eval_every
        return self._evaluate is not None and every is not None and step > 0 and (step % every == 0 or self._ends(step))

    def _run_evaluation(self, step: int) -> None:
        assert self._evaluate is not None
        began = perf_counter()
        with phase("eval"):
            metrics = dict(self._evaluate(step))
        metrics[EVAL_SECONDS] = perf_counter() - began
        self.eval_seconds += metrics[EVAL_SECONDS]
        self.logger.log(step, metrics)
        self._note(step, metrics)
        self._check_metric(metrics, in_evaluation=True)
        self._decide()
        self._drop()

    def _check_metric(self, metrics: Mapping[str, float], in_evaluation: bool) -> None:
        """Raise InputError where the metric that decides is not among those it would be logged with."""
        metric = self.settings.metric
        if metric is None or self._scores or metric in metrics or metric.startswith("eval/") != in_evaluation:
            return
        accepted = ", ".join(sorted(key for key in metrics if not key.startswith(("time/", "throughput/"))))
        raise InputError(f"trainer.best_metric={metric} is not among the metrics of step {self.step}: {accepted}")

    def _drop(self) -> None:
        """Delete the checkpoints that are not to be kept. The newest is: a resume needs it."""
        if not self.ranks.is_main or self.settings.keep == "all":
            return
        saved = checkpoint_steps(self.checkpoints)
        if self.settings.keep in ("best", "last"):
            best = self._best() if self.settings.keep == "best" else None
            kept = {saved[-1]} | ({best} if best is not None else set())
        else:
            kept = set(saved[-int(self.settings.keep) :])
        drop_checkpoints(self.checkpoints, kept)

    def _best(self) -> int | None:
        """Return the best step of those whose checkpoint is on disk; None where none of them was measured."""
        saved = set(checkpoint_steps(self.checkpoints))
        scores = {step: value for step, value in self._scores.items() if step in saved}
        return self._highest(scores) if scores else None

    def _highest(self, scores: Mapping[int, float]) -> int:
        """Return the first step with the highest score, or with the lowest."""
        sign = -1 if self.settings.lowest else 1
        return max(scores, key=lambda step: (sign * scores[step], -step))
