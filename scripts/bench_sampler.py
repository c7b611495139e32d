#!/usr/bin/env python3
"""Multi-turn rollouts with sampler=vllm against plain generation by vLLM, in sampled tokens a second.

A round is a rollout of all trajectories with their tools, then their turns generated again by vLLM's own
`LLM.generate`: every prompt of every turn at once, each exactly as long as it was. Both begin with an empty prefix
cache, as after new weights. `LLM.generate` comes twice: as it is, and over an engine with all settings of the
sampler's (smaller blocks of cache, above all); neither gives the seeds and logprobs of a rollout. The first round is
not counted; of the others the medians are. At the end, seconds of pushing new weights and of checking them.

    scripts/bench_sampler.py --model outputs/default/pretrain-s0/model

Without --model a student is trained first, for about three minutes on two CPU cores.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import time
import warnings
from collections.abc import Iterator
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

os.environ.setdefault("GOMP_SPINCOUNT", "1000")  # as in a stage: threads of torch and vLLM take turns on the same cores

import torch

from mentor.chat import ChatFormat
from mentor.environment import Environment, RolloutLimits, RolloutRequest, derive_seed
from mentor.policy import OptimizerSettings, Policy, TorchEngine
from mentor.policy.model import load_model, torch_dtype
from mentor.sampling import Canary, build_sampler, push_weights
from mentor.sampling.vllm_engine import BLOCK_TOKENS, MIN_BATCH_TOKENS
from mentor.sampling.vllm_sampler import VllmSampler
from mentor.tasks import load_tasks
from mentor.timer import Timer
from mentor.tools import Toolbox, Toolset
from mentor.types import Trajectory
from scripts.arguments import positive_int

if TYPE_CHECKING:
    from vllm import LLM

Turn = tuple[list[int], int]  # prompt, tokens to sample


def main() -> None:
    arguments = parse()
    with TemporaryDirectory() as folder:
        model = arguments.model or pretrain(Path(folder))
        bench(model, arguments)


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", type=Path, help="folder of a student that calls the calculator's tools")
    parser.add_argument("--prompts", type=positive_int, default=32)
    parser.add_argument("--group-size", type=positive_int, default=8)
    parser.add_argument("--rounds", type=positive_int, default=7, help="counted ones")
    parser.add_argument("--max-running", type=positive_int, default=256)
    parser.add_argument("--max-tokens", type=positive_int, default=512, help="of one trajectory")
    parser.add_argument("--dtype", default="float32", choices=["float32", "bfloat16"])
    parser.add_argument("--threads", type=positive_int, default=torch.get_num_threads())
    return parser.parse_args()


def pretrain(folder: Path) -> Path:
    command = [sys.executable, "-m", "mentor.cli", "stage=pretrain", f"paths.outputs={folder}", "run=bench"]
    subprocess.run(command, check=True)
    return folder / "bench" / "pretrain-s0" / "model"


def bench(model: Path, arguments: argparse.Namespace) -> None:
    torch.set_num_threads(arguments.threads)
    warnings.simplefilter("ignore")  # vLLM's, of deprecated names
    chat = ChatFormat.from_pretrained(model)
    dtype = torch_dtype(arguments.dtype)
    began = time.perf_counter()
    sampler = build_sampler("vllm", model, chat.end_ids, arguments.max_running, dtype, arguments.max_tokens)
    assert isinstance(sampler, VllmSampler)
    print(f"engine started in {time.perf_counter() - began:.1f} s, {arguments.threads} threads, {arguments.dtype}")
    same = {"block_size": BLOCK_TOKENS, "max_num_batched_tokens": MIN_BATCH_TOKENS, "enable_chunked_prefill": False}
    plain = {"LLM.generate": engine(model, arguments), "LLM.generate, tuned": engine(model, arguments, **same)}
    tasks = load_tasks("calculator", size=arguments.prompts)
    wanted = [
        RolloutRequest(task, derive_seed(task.id, member)) for task in tasks for member in range(arguments.group_size)
    ]
    ways: dict[str, list[float]] = {"rollout": [], **{name: [] for name in plain}}
    toolbox = Toolbox(Toolset.builtin("calculator"))
    limits = RolloutLimits(max_tokens=arguments.max_tokens)
    with Environment(sampler, toolbox, chat, limits) as environment:
        for number in range(arguments.rounds + 1):
            seconds, trajectories = rollout(environment, sampler, wanted)
            turns = [turn for trajectory in trajectories for turn in turns_of(trajectory)]
            count = sum(length for _, length in turns)
            if not count:
                raise SystemExit("bench_sampler: the rollout sampled no token, so nothing was measured")
            rates = [count / seconds, *(count / generate(llm, turns) for llm in plain.values())]
            if number == 0:
                calls = sum(len(trajectory.calls) for trajectory in trajectories)
                print(f"{len(wanted)} trajectories, {len(turns)} turns, {calls} calls, {count} sampled tokens")
                continue
            for way, rate in zip(ways.values(), rates, strict=True):
                way.append(rate)
    for name, found in ways.items():
        ratios = [one / other for one, other in zip(ways["rollout"], found, strict=True)]
        spread = f"{min(found):,.0f} to {max(found):,.0f}"
        print(f"{name:22} {median(found):8,.0f} tokens/s ({spread}), rollout is {median(ratios):.2f} of it")
    push(model, chat, sampler, dtype, arguments.rounds)
    sampler.close()


def engine(model: Path, arguments: argparse.Namespace, **settings: Any) -> LLM:
    """Start vLLM with the sampler's limits, in this process, where it is faster, and else with its defaults."""
    from vllm import LLM

    os.environ["VLLM_ENABLE_V1_MULTIPROCESSING"] = "0"
    os.environ.setdefault("VLLM_LOGGING_LEVEL", "ERROR")
    return LLM(
        str(model),
        dtype=arguments.dtype,
        max_num_seqs=arguments.max_running,
        max_model_len=arguments.max_tokens,
        enforce_eager=not torch.cuda.is_available(),
        gpu_memory_utilization=0.4,
        kv_cache_memory_bytes=None if torch.cuda.is_available() else 2**30,
        disable_log_stats=True,
        use_tqdm_on_load=False,
        **settings,
    )


def rollout(
    environment: Environment, sampler: VllmSampler, wanted: list[RolloutRequest]
) -> tuple[float, list[Trajectory]]:
    sampler.forget()
    began = time.perf_counter()
    trajectories = environment.rollout(wanted)
    return time.perf_counter() - began, trajectories


def turns_of(trajectory: Trajectory) -> Iterator[Turn]:
    """Yield every turn: all tokens before it, and how many were sampled."""
    tokens = trajectory.tokens
    assert tokens is not None
    mask = [*tokens.loss_mask, False]
    start = 0
    for place in range(1, len(mask)):
        if mask[place] and not mask[place - 1]:
            start = place
        if mask[place - 1] and not mask[place]:
            yield tokens.token_ids[:start], place - start


def generate(llm: LLM, turns: list[Turn]) -> float:
    """Return the seconds that vLLM takes for all turns, given at once."""
    from vllm import SamplingParams
    from vllm.inputs import tokens_input

    llm.reset_prefix_cache()
    prompts = [tokens_input(prompt) for prompt, _ in turns]
    params = [SamplingParams(max_tokens=length, ignore_eos=True) for _, length in turns]
    began = time.perf_counter()
    llm.generate(prompts, params, use_tqdm=False)
    return time.perf_counter() - began


def push(model: Path, chat: ChatFormat, sampler: VllmSampler, dtype: torch.dtype, rounds: int) -> None:
    settings = OptimizerSettings("adamw", 0.0)
    policy = Policy(TorchEngine(load_model(model), settings, dtype), chat.tokenizer, settings)
    canary = Canary(chat.prompt_ids("What is 12 plus 34?", Toolset.builtin("calculator").schemas_json))
    timers = [Timer() for _ in range(rounds + 1)]
    found = [push_weights(policy, sampler, canary, 1.0, step, timer) for step, timer in enumerate(timers)]
    pushing, checking = (1000 * median(timer.seconds[key] for timer in timers[1:]) for key in ("push", "push_check"))
    difference = max(stats["sync/canary_difference"] for stats in found)
    print(f"weight push {pushing:.0f} ms, check {checking:.0f} ms, canary differs by {difference:.1g}")


if __name__ == "__main__":
    main()
