"""The embedded sampler against the policy: logprobs of sampled tokens on both sides, and tokens per second."""

from __future__ import annotations

import time

import torch

from mentor.algorithm.batch import collate, sampler_logprobs
from mentor.policy import Policy
from mentor.sampling import Sampler, SamplingParams, build_sampler
from mentor.types import Tokens
from scripts.gpu_check.measuring import Figure, Note, Size, make_model, name_of, random_records, shape_of, torch_policy

LIMITS = {torch.float32: 1e-3, torch.bfloat16: 0.03}  # of the mean difference of a logprob, in nats
SESSIONS = 16


def check_sampler(size: Size, note: Note) -> None:
    shape = shape_of(size.shape)
    for dtype in LIMITS:
        model = make_model(shape, sharp=True)
        policy = torch_policy(model, dtype, size.tokens)
        sampler = build_sampler("transformers", model, (), SESSIONS, dtype, size.checked)
        compare(policy, sampler, shape.vocab_size, size.checked, name_of(dtype), note)


def compare(policy: Policy, sampler: Sampler, vocabulary: int, tokens: int, label: str, note: Note) -> None:
    """Sample turns after prompts of several lengths, half of `tokens` at most each, and score them with the policy."""
    prompts = [8 + index * (tokens // 2 - 8) // SESSIONS for index in range(SESSIONS)]
    records = random_records(vocabulary, prompts)
    began = time.perf_counter()
    for index, record in enumerate(records):
        sampler.add_request(str(index), record.token_ids, SamplingParams(tokens // 2, seed=index))
    found: dict[str, Tokens] = {}
    while len(found) < SESSIONS:
        for completion in sampler.step():
            both = Tokens()
            both.append_context(records[int(completion.session)].token_ids)
            both.append_sampled(completion.token_ids, completion.logprobs)
            found[completion.session] = both
    seconds = time.perf_counter() - began
    drawn = list(found.values())
    batch = collate(drawn, 0)
    sampled = sampler_logprobs(drawn)[batch.loss_mask]
    difference = policy.logprobs(batch)[batch.loss_mask] - sampled
    kl = float((difference.exp() - 1 - difference).mean())
    mean = float(difference.abs().mean())
    note(Figure(f"{label}: logprobs, mean difference", mean, "nats", high=LIMITS[policy.dtype]))
    note(Figure(f"{label}: logprobs, largest difference", float(difference.abs().max()), "nats"))
    note(Figure(f"{label}: KL (k3) of sampler and policy", kl, "nats"))
    note(Figure(f"{label}: sampling", len(sampled) / seconds, "tokens/s"))
