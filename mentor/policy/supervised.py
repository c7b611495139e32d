"""Supervised training, shared by pretrain and sft: loss on assistant tokens only, batches of similar length."""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from time import perf_counter

import torch

from mentor.algorithm.batch import Batch, supervised_batch
from mentor.errors import InputError
from mentor.jsonl import read_jsonl
from mentor.loggers import Logger
from mentor.policy.control import Evaluate, TrainingControl
from mentor.policy.interface import PolicyOutput
from mentor.policy.policy import Policy
from mentor.progress import phase
from mentor.types import Tokens

BUCKET = 64  # batches whose records are sorted by length together


@dataclass(frozen=True)
class SupervisedPhase:
    """Steps of one training, and the records that they train on, of one segment each."""

    records: Sequence[Tokens]
    steps: int


def check_masks(records: Sequence[Tokens], source: str) -> None:
    """Refuse records of which one is trained on nowhere or everywhere: its loss mask is wrong."""
    for index, tokens in enumerate(records):
        if tokens.sampled in (0, len(tokens)):
            share = "0 %" if tokens.sampled == 0 else "100 %"
            raise InputError(
                f"{source}: record {index} would be trained on {share} of its {len(tokens)} tokens; "
                "accepted: rows with a prompt and an assistant turn"
            )


def supervised_loss(output: PolicyOutput, batch: Batch) -> tuple[torch.Tensor, dict[str, torch.Tensor]]:
    """Compute this micro-batch's part of the minibatch's mean negative logprob (nats) of trained tokens."""
    loss = -(output.logprobs * batch.weights[batch.loss_mask]).sum()
    return loss, {"loss/train": loss.detach()}


def batches(records: Sequence[Tokens], batch_tokens: int, seed: int) -> Iterator[list[Tokens]]:
    """Yield batches of at most `batch_tokens` tokens (one record at least) without end, shuffled anew every epoch."""
    epoch = 0
    while True:
        rng = random.Random(f"{seed}/{epoch}")
        order = list(range(len(records)))
        rng.shuffle(order)
        mean = sum(map(len, records)) / len(records)
        bucket = max(1, round(BUCKET * batch_tokens / mean))
        parts: list[list[Tokens]] = []
        for start in range(0, len(order), bucket):
            similar = sorted(order[start : start + bucket], key=lambda i: len(records[i]))
            parts.extend(_cut(similar, records, batch_tokens))
        rng.shuffle(parts)
        yield from parts
        epoch += 1


def batches_of(phases: Sequence[SupervisedPhase], batch_tokens: int, seed: int) -> Iterator[list[Tokens]]:
    """Yield the batch of every step, phase by phase."""
    for part in phases:
        yield from islice(batches(part.records, batch_tokens, seed), part.steps)


def _cut(order: list[int], records: Sequence[Tokens], batch_tokens: int) -> Iterator[list[Tokens]]:
    part: list[Tokens] = []
    for index in order:
        if part and (len(part) + 1) * len(records[index]) > batch_tokens:
            yield part
            part = []
        part.append(records[index])
    if part:
        yield part


def _described(part: SupervisedPhase, batch_tokens: int) -> str:
    size = sum(map(len, part.records))
    return f"{size:,} tokens ({part.steps * batch_tokens / size:,.1f} epochs)"


def train_supervised(
    policy: Policy,
    phases: Sequence[SupervisedPhase],
    control: TrainingControl,
    *,
    batch_tokens: int,
    seed: int,
    pad_id: int,
    logger: Logger,
    evaluate: Evaluate | None = None,
) -> dict[str, float]:
    """Train from where the control resumed until it ends; return totals for the summary.

    phases: one after the other, their steps together those of the control. A token has the same weight, whichever batch
    the rest of its trajectory is in. The loss is the last step's, even where an earlier process took it; the tokens are
    this process's.
    """
    start, steps = control.step, control.settings.steps
    source = islice(batches_of(phases, batch_tokens, seed), start, None)
    texts = ", then on ".join(_described(part, batch_tokens) for part in phases)
    logger.message(f"budget: {steps} steps ({start} done) of at most {batch_tokens:,} tokens each on {texts}")
    tokens = 0
    stored = control.folder / "metrics.jsonl"
    losses = [row["loss/train"] for row in read_jsonl(stored) if "loss/train" in row] if stored.is_file() else []
    loss = losses[-1] if losses else float("nan")
    with logger.progress(steps, "training", start) as progress:
        for step in control.steps_left(evaluate):
            began = perf_counter()
            part = next(source)
            batch = supervised_batch(part, pad_id)
            with phase("update"):
                stats = policy.update(batch, supervised_loss, with_entropies=False)
            loss = stats["loss/train"]
            trained = int(batch.loss_mask.sum())
            tokens += sum(map(len, part))
            seconds = perf_counter() - began
            speed = {"time/step_s": seconds, "throughput/update_tokens_per_s": sum(map(len, part)) / seconds}
            control.log(step, {**stats, "tokens/trained": trained, **speed})
            control.finish(step)
            progress.advance(loss=loss)
    return {"loss": loss, "tokens": tokens, "first_step": start + 1}
