"""The teacher of on-policy distillation that the group `distill` describes, for stage=rl."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from transformers import AutoTokenizer, PreTrainedTokenizerBase

from mentor.chat import ChatFormat
from mentor.config import Config, DistillConfig, DistillTeacher, ModelConfig, RlTrainer
from mentor.endpoints.background import BackgroundEndpoint
from mentor.endpoints.spending import Spending
from mentor.errors import InputError
from mentor.jsonl import Report
from mentor.policy import MostLikely, Policy
from mentor.policy.model import load_model, torch_dtype
from mentor.policy.ranks import Ranks
from mentor.policy.teacher_model import ScoringTeacher, TeacherModel
from mentor.rl.scoring_endpoint import ScoringEndpoint
from mentor.runs.base_model import local_or_hub
from mentor.stages.training import build_policy

SECTION = "distill.teacher"
ENDPOINT_KEYS = "base_url", "model", "concurrency", "timeout_s", "max_retries", "max_retry_s"
SCORING: dict[str, Any] = {"temperature": None, "top_p": None, "max_tokens": 1, "seed": None, "extra_body": {}}
"""What an endpoint is asked with besides: it has to sample a token, which nothing reads."""


@contextmanager
def open_distill_teacher(
    config: Config, policy: Policy, chat: ChatFormat, folder: Path, report: Report, ranks: Ranks
) -> Iterator[ScoringTeacher | None]:
    """Load the teacher, or open its endpoint with its answers below `folder`; None where nothing is distilled.

    Raises InputError for a teacher with another tokenizer than the student's.
    """
    distill = config.distill
    if not isinstance(distill, DistillConfig) or not distill.coef:
        yield None
        return
    listed = distill.top_k if distill.placement == "loss" else 0
    if distill.teacher.path is not None:
        yield _in_process(config, distill.teacher, policy, chat, listed, ranks)
        return
    settings = distill.teacher
    name = f"{SECTION}.base_url={settings.base_url} {SECTION}.model={settings.model}"
    store = folder / (f"distill-rank{ranks.rank}" if ranks.rank else "distill")
    keys = {**SCORING, **{key: getattr(settings, key) for key in ENDPOINT_KEYS}}
    spending = _spending(settings, ranks.size)
    with BackgroundEndpoint(store, spending, settings.api_key_env, keys, report) as endpoint:
        _refuse_other_spelling(chat.tokenizer, endpoint, name)
        yield ScoringEndpoint(endpoint, name, ranks, listed, len(chat.tokenizer))
        report(f"distill.teacher: {endpoint.counts()}")


def _in_process(
    config: Config, settings: DistillTeacher, policy: Policy, chat: ChatFormat, listed: int, ranks: Ranks
) -> TeacherModel:
    model, trainer = config.model, config.trainer
    assert isinstance(model, ModelConfig) and isinstance(trainer, RlTrainer) and settings.path is not None
    path = local_or_hub(settings.path, f"{SECTION}.path")
    refuse_other_vocabulary(chat.tokenizer, AutoTokenizer.from_pretrained(str(path)), f"{SECTION}.path={path}")
    partitioned = trainer.deepspeed.stage == 3  # its parts are kept on the CPU by DeepSpeed
    on_cpu = torch.device("cpu") if partitioned or settings.offload else None
    frozen = load_model(path, torch_dtype(settings.dtype), on_cpu, model.attn_implementation, key=f"{SECTION}.path")
    frozen.requires_grad_(False)
    scoring = build_policy(
        frozen, chat, replace(model, dtype=settings.dtype), trainer, 0, ranks=ranks, offload=settings.offload
    )
    device = policy.engine.device if settings.offload and not partitioned else None
    return TeacherModel(scoring, MostLikely(listed, len(chat.tokenizer)) if listed else None, device)


def refuse_other_vocabulary(student: PreTrainedTokenizerBase, teacher: PreTrainedTokenizerBase, name: str) -> None:
    """Raise InputError where the teacher numbers a token of either differently."""
    own, other = student.get_vocab(), teacher.get_vocab()
    differing = sorted((word for word in own.keys() | other.keys() if own.get(word) != other.get(word)), key=str)
    if differing:
        first = differing[0]
        raise InputError(
            f"{name} has another tokenizer than the student: {len(differing)} tokens differ, such as {first!r} "
            f"({_place(other, first)} there, {_place(own, first)} here), so its logprobs are of other tokens; "
            "accepted: a teacher with the student's tokenizer"
        )


def _place(vocabulary: dict[str, int], word: str) -> str:
    return f"token {vocabulary[word]}" if word in vocabulary else "no token"


def _refuse_other_spelling(student: PreTrainedTokenizerBase, endpoint: BackgroundEndpoint, name: str) -> None:
    """Raise InputError where the endpoint spells the student's tokens, all in one text, otherwise."""
    ids = sorted(student.get_vocab().values())
    own, other = str(student.decode(ids)), endpoint.detokenize(ids)
    if own != other:
        place = next((i for i, (a, b) in enumerate(zip(own, other, strict=False)) if a != b), min(len(own), len(other)))
        raise InputError(
            f"{name} has another tokenizer than the student: it spells all tokens {other[place : place + 20]!r} where "
            f"the student's spells {own[place : place + 20]!r}, so its logprobs are of other tokens; accepted: a "
            "teacher with the student's tokenizer"
        )


def _spending(settings: DistillTeacher, share: int) -> Spending:
    """share: ranks that spend together, each with its part of the caps."""
    tokens, cost = settings.max_total_tokens, settings.max_cost
    return Spending(
        SECTION,
        None if tokens is None else -(-tokens // share),
        None if cost is None else cost / share,
        settings.input_price,
        0.0,
    )
