"""The tokens of one micro-batch that train fastest on this machine: few fit a CPU's cache, many keep a GPU busy.

A few sizes are timed once, forward and backward, on the first batch of a run; weights, gradients, moments and random
states stay what they were. The size changes results by rounding alone.
"""

from __future__ import annotations

from collections.abc import Sequence
from time import perf_counter

import torch

from mentor import progress
from mentor.algorithm.batch import TokenBatch
from mentor.policy.policy import Policy

SIZES = (1024, 2048, 4096, 8192, 16_384)
SAMPLE_TOKENS = 16_384  # that each size is timed on, at least one row
TRIES = 2  # of each size, of which the faster counts: other programs may run beside it
NEAR = 1.02  # a size this near to the fastest is as good, and takes less memory
SLOWER = 1.1  # larger sizes than one this much slower than the fastest are not tried


def fastest_size(policy: Policy, batch: TokenBatch, sizes: Sequence[int] = SIZES) -> tuple[int, dict[int, float]]:
    """Return the best of `sizes`, in ascending order, and the seconds of those that were timed, summed over ranks.

    policy: in plain torch, with no gradient at hand. batch: of B >= 1 rows. Every rank calls this with the same batch.
    """
    sample = _sample(batch)
    before, device = policy.micro_batch_tokens, policy.engine.device
    policy.engine.module.train()  # every later pass sets its own mode
    seconds: dict[int, float] = {}
    try:
        with torch.random.fork_rng([device] if device.type == "cuda" else []), torch.enable_grad():
            _compute(policy, sample, sizes[0])  # the first one also makes what the others reuse
            for size in sizes:
                taken = min(_compute(policy, sample, size) for _ in range(TRIES))
                own = torch.tensor([taken], dtype=torch.float64)
                seconds[size] = float(policy.ranks.all_reduce(own))
                if seconds[size] > SLOWER * min(seconds.values()) or size >= sample.token_ids.numel():
                    break
    finally:
        policy.micro_batch_tokens = before
    best = min(seconds.values())
    return next(size for size, taken in seconds.items() if taken <= NEAR * best), seconds


def _sample(batch: TokenBatch) -> TokenBatch:
    """Take the first rows, so whole groups, of at most SAMPLE_TOKENS tokens together."""
    count = max(1, int((batch.lengths.cumsum(0) <= SAMPLE_TOKENS).sum()))
    return batch.take(torch.arange(count))


def _compute(policy: Policy, batch: TokenBatch, size: int) -> float:
    """Compute the gradient of the batch's logprobs in micro-batches of `size`, drop it, and return the seconds."""
    policy.micro_batch_tokens = size
    micro_batches = policy.micro_batches(batch)
    began = _now(policy.engine.device)
    for micro in micro_batches:
        progress.beat()
        policy.forward(micro, with_entropies=True).logprobs.sum().backward()
    taken = _now(policy.engine.device) - began
    for _, parameter in policy.trained_parameters():
        parameter.grad = None
    return taken


def _now(device: torch.device) -> float:
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    return perf_counter()
