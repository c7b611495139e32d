#!/usr/bin/env python3
"""Multi-turn rollouts by both samplers, and plain generation by vLLM, in sampled tokens a second.

A round is a rollout of all trajectories with their tools by each sampler. The turns of the one of sampler=vllm are then
generated again by vLLM's own `LLM.generate`: every prompt of every turn at once, each exactly as long as it was. All
begin with an empty cache, as after new weights. `LLM.generate` comes in three ways: as it is; over an engine with all
settings of the sampler's (smaller blocks of cache, above all); and with the seeds and logprobs of a rollout too, so
tuned alike. The first round is not counted; of the others the medians are. At the end, seconds of pushing new weights
to vLLM and of checking them.

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

os.environ.setdefault("GOMP_SPINCOUNT", "10000")  # as in a stage: threads of torch and vLLM share the cores

import torch

from mentor.chat import ChatFormat
from mentor.environment import Environment, RolloutLimits, RolloutRequest, derive_seed
from mentor.policy import OptimizerSettings, Policy, TorchEngine
from mentor.policy.model import load_model, torch_dtype
from mentor.sampling import Canary, Sampler, build_sampler, push_weights
from mentor.sampling.vllm_engine import BLOCK_TOKENS, MIN_BATCH_TOKENS
from mentor.sampling.vllm_sampler import VllmSampler
from mentor.tasks import load_tasks
from mentor.timer import Timer
from mentor.tools import Toolbox, Toolset
from mentor.types import Trajectory
from scripts.arguments import positive_int
from scripts.benchmark_record import BenchmarkTable, Cell, add_json_option, report

if TYPE_CHECKING:
    from vllm import LLM

Turn = tuple[list[int], int]  # prompt, tokens to sample
SAMPLERS = ("transformers", "vllm")


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
    add_json_option(parser)
    return parser.parse_args()


def pretrain(folder: Path) -> Path:
    command = [sys.executable, "-m", "mentor.cli", "stage=pretrain", f"paths.outputs={folder}", "run=bench"]
    subprocess.run(command, check=True)
    return folder / "bench" / "pretrain-s0" / "model"


def bench(model: Path, arguments: argparse.Namespace) -> None:
    torch.set_num_threads(arguments.threads)
    warnings.simplefilter("ignore")  # vLLM's, of deprecated names
    chat, dtype = ChatFormat.from_pretrained(model), torch_dtype(arguments.dtype)
    began = time.perf_counter()
    vllm = build_sampler("vllm", model, chat.end_ids, arguments.max_running, dtype, arguments.max_tokens)
    started = time.perf_counter() - began
    assert isinstance(vllm, VllmSampler)
    embedded = build_sampler("transformers", model, chat.end_ids, arguments.max_running, dtype, arguments.max_tokens)
    same = {"block_size": BLOCK_TOKENS, "max_num_batched_tokens": MIN_BATCH_TOKENS, "enable_chunked_prefill": False}
    plain, tuned = engine(model, arguments), engine(model, arguments, **same)
    tasks = load_tasks("calculator", size=arguments.prompts)
    wanted = [
        RolloutRequest(task, derive_seed(task.id, member)) for task in tasks for member in range(arguments.group_size)
    ]
    rates: dict[str, list[float]] = {}
    limits = RolloutLimits(max_tokens=arguments.max_tokens)
    with (
        Environment(embedded, Toolbox(Toolset.builtin("calculator")), chat, limits) as own,
        Environment(vllm, Toolbox(Toolset.builtin("calculator")), chat, limits) as other,
    ):
        for number in range(arguments.rounds + 1):
            embedded.load_weights([])
            seconds, trajectories = rollout(own, wanted)
            found = {"sampler=transformers": sampled(trajectories) / seconds}
            vllm.forget()
            seconds, trajectories = rollout(other, wanted)
            turns = [turn for trajectory in trajectories for turn in turns_of(trajectory)]
            count = sum(length for _, length in turns)
            if not count:
                raise SystemExit("bench_sampler: the rollout sampled no token, so nothing was measured")
            found["sampler=vllm"] = count / seconds
            found["LLM.generate"] = count / generate(plain, turns)
            found["LLM.generate, its settings"] = count / generate(tuned, turns)
            found["LLM.generate, tuned alike"] = count / generate(tuned, turns, alike=True)
            if number:
                for way, rate in found.items():
                    rates.setdefault(way, []).append(rate)
    calls = sum(len(trajectory.calls) for trajectory in trajectories)
    remarks = [
        f"{len(wanted)} trajectories, {len(turns)} turns, {calls} calls and {count:,} sampled tokens with vLLM, "
        f"{arguments.threads} threads, {arguments.dtype}; its engine started in {started:.1f} s.",
        "A rollout's turns wait for one another and its last ones run in small batches; generation gets all at once.",
    ]
    pushes = push(model, chat, vllm, dtype, arguments.rounds)
    vllm.close()
    report([rate_table(rates), pushes], arguments.json, remarks)


def rate_table(rates: dict[str, list[float]]) -> BenchmarkTable:
    """Show the medians over the rounds, of the ratio too."""
    rows: list[tuple[Cell, ...]] = []
    for way, found in rates.items():
        pairs = [zip(rates[f"sampler={name}"], found, strict=True) for name in SAMPLERS]
        ratios = [median(one / other for one, other in pair) for pair in pairs]
        rows.append((way, median(found), min(found), max(found), *ratios))
    ratio_columns = [f"sampler={name} is times it" for name in SAMPLERS]
    return BenchmarkTable("Sampled tokens a second", ("way", "median", "least", "most", *ratio_columns), rows)


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


def rollout(environment: Environment, wanted: list[RolloutRequest]) -> tuple[float, list[Trajectory]]:
    began = time.perf_counter()
    trajectories = environment.rollout(wanted)
    return time.perf_counter() - began, trajectories


def sampled(trajectories: list[Trajectory]) -> int:
    return sum(length for trajectory in trajectories for _, length in turns_of(trajectory))


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


def generate(llm: LLM, turns: list[Turn], alike: bool = False) -> float:
    """Return the seconds that vLLM takes for all turns, given at once. alike: with seeds and logprobs."""
    from vllm import SamplingParams
    from vllm.inputs import tokens_input

    llm.reset_prefix_cache()
    prompts = [tokens_input(prompt) for prompt, _ in turns]
    params = [
        SamplingParams(
            max_tokens=length, ignore_eos=True, seed=number if alike else None, logprobs=0 if alike else None
        )
        for number, (_, length) in enumerate(turns)
    ]
    began = time.perf_counter()
    llm.generate(prompts, params, use_tqdm=False)
    return time.perf_counter() - began


def push(model: Path, chat: ChatFormat, sampler: Sampler, dtype: torch.dtype, rounds: int) -> BenchmarkTable:
    settings = OptimizerSettings("adamw", 0.0)
    policy = Policy(TorchEngine(load_model(model), settings, dtype), chat.tokenizer, settings)
    canary = Canary(chat.prompt_ids("What is 12 plus 34?", Toolset.builtin("calculator").schemas_json))
    timers = [Timer() for _ in range(rounds + 1)]
    found = [push_weights(policy, sampler, canary, 1.0, step, timer) for step, timer in enumerate(timers)]
    difference = max(stats["sync/canary_difference"] for stats in found)
    parts = {"weight push, ms": "push", "its check, ms": "push_check"}
    rows = [(name, 1000 * median(timer.seconds[key] for timer in timers[1:])) for name, key in parts.items()]
    title = "New weights for sampler=vllm"
    return BenchmarkTable(title, ("part", "value"), [*rows, ("difference of the canary's logprobs", difference)])


if __name__ == "__main__":
    main()
