"""`trainer.micro_batch_tokens=auto`: timed on the first batch, written into the stage's folder and read on resume."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

from mentor.algorithm.batch import TokenBatch
from mentor.config import Config, RlTrainer, SamplerConfig
from mentor.files import write_file
from mentor.loggers import Logger
from mentor.planning import ModelShape, make_plan
from mentor.planning.workload import UNTIMED_TOKENS
from mentor.policy import Policy
from mentor.policy.micro_batch_size import SIZES, fastest_size
from mentor.policy.ranks import Ranks
from mentor.runs import RunFolder
from mentor.stages.check_workload import find_device, make_workload

FILE = "micro_batch_tokens.json"  # in the folder of the stage
KEY = "trainer.micro_batch_tokens=auto"


def settle_micro_batches(policy: Policy, config: Config, folder: RunFolder, logger: Logger, ranks: Ranks) -> None:
    """Give the policy the size that an earlier process timed, else let it time its first batch.

    Under DeepSpeed, whose gradients cannot be dropped, and in deterministic runs the fixed size stays.
    """
    trainer, sampler = config.trainer, config.sampler
    assert isinstance(trainer, RlTrainer) and isinstance(sampler, SamplerConfig)
    if trainer.micro_batch_tokens != "auto":
        return
    path = folder.path / FILE
    stored = ranks.all_gather(_stored(path) if ranks.is_main else None)[0]
    if stored is not None:
        policy.micro_batch_tokens = stored
        logger.message(f"{KEY}: {stored:,}, as timed before")
        return
    if sampler.deterministic or trainer.deepspeed.stage:
        logger.message(f"{KEY}: {policy.micro_batch_tokens:,}, which is not timed here")
        return
    sizes = fitting_sizes(config, policy)

    def settle(batch: TokenBatch) -> None:
        policy.micro_batch_tokens, seconds = fastest_size(policy, batch, sizes)
        timed = ", ".join(f"{size:,} {taken:.2f} s" for size, taken in seconds.items())
        logger.message(f"{KEY}: {policy.micro_batch_tokens:,} (timed: {timed})")
        if ranks.is_main:
            write_file(path, json.dumps({"micro_batch_tokens": policy.micro_batch_tokens, "seconds": seconds}) + "\n")

    policy.on_first_batch = settle


def fitting_sizes(config: Config, policy: Policy) -> list[int]:
    """List the sizes whose memory plan fits this device, the smallest always; up to the fixed one without a plan."""
    smallest, *larger = SIZES
    text_config = policy.model.config.get_text_config(decoder=True).to_dict()
    try:
        workload = make_workload(config, ModelShape.from_values(text_config), find_device(config))
    except ValueError:
        return [size for size in SIZES if size <= UNTIMED_TOKENS[policy.engine.device.type]]
    plans = {size: make_plan(replace(workload, micro_batch_tokens=size)) for size in larger}
    return [smallest, *(size for size, plan in plans.items() if not plan.misfits)]


def _stored(path: Path) -> int | None:
    return int(json.loads(path.read_text(encoding="utf-8"))["micro_batch_tokens"]) if path.is_file() else None
