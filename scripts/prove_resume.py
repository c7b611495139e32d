#!/usr/bin/env python3
"""Kill stages with SIGKILL at random points, run the same command again, and compare with an unbroken run.

exact     rl with sampler.deterministic=true, which is evaluated as it trains, keeps the best checkpoint and draws tasks
          by their success, killed over and over, against an unbroken run: final weights, the whole state of the last
          checkpoint (step, optimiser, random numbers), which checkpoints are kept, metrics, trajectories, items of
          the evaluations and the outcomes that the curriculum draws tasks by bit for bit, their times aside.
ranks     the same with two processes (vLLM, ZeRO-2), one of which or `mentor` itself is killed: final weights within
          1e-6. Then a checkpoint of two processes is resumed by one, and one of one by two.
records   rollout, sft, rl and eval without deterministic mode: the newest checkpoint loads back to what was saved, and
          every record on disk at a kill is there once at the end, or was moved aside once by a resume.

Fails where nothing was compared: no kill, no optimiser step, or no command that resumed from a checkpoint.

    scripts/prove_resume.py --kills 10 --rank-kills 5 --record-kills 20 --folder outputs/prove-resume --seed 0
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import random
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file

from mentor.chat import ChatFormat
from mentor.config import load
from mentor.policy.checkpoint import checkpoint_steps, latest_checkpoint
from mentor.policy.model import load_model
from mentor.policy.state import read_meta, read_parameters
from mentor.runs.folder import stored_config
from mentor.stages.training import build_policy
from scripts.arguments import whole_number

SMALL = ["debug=default", "logger=quiet", "launcher.threads=1"]
RL = ["stage=rl", "reward=flexible", "stage.limit=300", "stage.save_trajectories_every=1", "trainer.save_every=3"]
GROUP_SIZE, EVAL_SAMPLES = 4, 2
WIDTH = ["trainer.prompts_per_step=8", f"trainer.group_size={GROUP_SIZE}"]
DRAWN = ["trainer.curriculum.draw=success", "trainer.curriculum.rest_steps=2"]
EVALUATED = ["trainer.eval_every=4", "trainer.eval_limit=2", "trainer.eval_samples=1", "trainer.keep=best"]
RECORD_STAGES = 4  # rollout, sft, rl and eval
TIMED = ("time/", "throughput/")  # metrics that no two runs share


class Killer:
    """Runs `mentor` commands below one outputs folder and kills them at random points.

    Where a stage has several processes, any of them may be the one; `mentor` then ends the others.
    """

    def __init__(self, folder: Path, seed: int) -> None:
        self.folder = folder
        self.rng = random.Random(seed)

    def start(self, *overrides: str) -> subprocess.Popen[bytes]:
        command = [sys.executable, "-m", "mentor.cli", *overrides, *SMALL, f"paths.outputs={self.folder}", "run=run"]
        return subprocess.Popen(command, stderr=subprocess.PIPE, start_new_session=True)

    def finish(self, *overrides: str) -> float:
        """Run to the end and return the seconds."""
        began = time.monotonic()
        refuse_failure(self.start(*overrides), *overrides)
        return time.monotonic() - began

    def kill(self, watched: Path, *overrides: str, may_be_early: bool = True) -> int | None:
        """Kill the command once it has appended a random number of lines to `watched`.

        Now and then it is killed at a random moment of its start instead, unless `may_be_early` is false. Returns how
        many lines the file has then, None when the command ended first. Raises SystemExit where it ended with an error.
        """
        process = self.start(*overrides)
        before, began = lines(watched), time.monotonic()
        early = self.rng.random() < 0.2 and may_be_early
        wanted, deadline = self.rng.randint(1, 4), self.rng.uniform(0.2, 4.0)
        while process.poll() is None:
            if time.monotonic() - began > deadline if early else lines(watched) >= before + wanted:
                break
            time.sleep(0.002)
        time.sleep(self.rng.uniform(0, 0.15))  # not always at the same place of a step
        if process.poll() is not None:
            refuse_failure(process, *overrides)
            return None
        self._kill(process)
        return lines(watched)

    def _kill(self, process: subprocess.Popen[bytes]) -> None:
        """Kill the stage's process or `mentor` itself, whose child then ends by itself; wait for both."""
        children = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()
        victim = int(self.rng.choice(children)) if children and self.rng.random() < 0.7 else process.pid
        os.kill(victim, signal.SIGKILL)
        process.communicate()  # the child holds stderr open too, so this returns when both have ended


def refuse_failure(process: subprocess.Popen[bytes], *overrides: str) -> None:
    """Wait for the command. Raises SystemExit with its messages where it failed."""
    _, said = process.communicate()
    if process.returncode:
        raise SystemExit(f"{' '.join(overrides)} ended with {process.returncode}: {said.decode()}")


def lines(path: Path) -> int:
    return path.read_bytes().count(b"\n") if path.is_file() else 0


def prove_exact(killer: Killer, kills: int) -> None:
    """Compare a killed run with an unbroken one. Raises SystemExit where they differ or no checkpoint was resumed."""
    steps = 4 * kills + 7
    command = [*RL, *WIDTH, *DRAWN, *EVALUATED, "sampler.deterministic=true", f"trainer.steps={steps}"]
    command += ["trainer.kl_coef=0.01"]
    whole, broken = (killer.folder / "run" / f"rl-{name}-s0" for name in ("whole", "broken"))
    seconds = killer.finish(*command, "name=whole")
    metrics, items = broken / "metrics.jsonl", "evaluations/calculator/items.jsonl"
    at: list[int] = []
    while len(at) < kills or latest_checkpoint(broken / "checkpoints") is None:
        watched = broken / items if len(at) % 2 else metrics  # every second one in an evaluation, or just behind it
        if killer.kill(watched, *command, "name=broken") is None:
            raise SystemExit(f"exact: the run was done after {len(at)} kills of {kills}: more steps are needed")
        at.append(lines(metrics))
    killer.finish(*command, "name=broken")
    refuse_from_scratch(broken)
    say(f"exact: {steps} steps ({seconds:.0f} s unbroken), {len(at)} kills after line {', '.join(map(str, at))}")
    compare("weights", *(digest((folder / "model" / "model.safetensors").read_bytes()) for folder in (whole, broken)))
    compare("state of the last checkpoint", *(digest(state(folder)) for folder in (whole, broken)))
    compare("steps whose checkpoints are kept", *(digest(checkpoint_steps(f / "checkpoints")) for f in (whole, broken)))
    for name in ("metrics.jsonl", "trajectories/trajectories.jsonl", "curriculum.jsonl", items):
        compare(name, *(digest(untimed(folder / name)) for folder in (whole, broken)))
    compare("headline and counts of the summary", *(digest(outcome(folder)) for folder in (whole, broken)))
    updates = optimiser_steps(broken)
    aside = lines(broken / "metrics.rolled_back.jsonl")
    say(f"exact: {updates:.0f} optimiser steps in what is kept; {aside} records of metrics moved aside")


def optimiser_steps(folder: Path) -> float:
    """Return how many optimiser steps an rl run took. Raises SystemExit where there was none."""
    updates = sum(row.get("policy/updates", 0.0) for row in untimed(folder / "metrics.jsonl"))
    if not updates:
        raise SystemExit(f"{folder}: no optimiser step was taken, so nothing was compared")
    return float(updates)


def refuse_from_scratch(folder: Path) -> int:
    """Return the step at which the last command of a run began. Raises SystemExit where that was the first one."""
    started = json.loads((folder / "summary.json").read_text())["counts"]["first_step"]
    if started == 1:
        raise SystemExit(f"{folder}: no command resumed from a checkpoint, so nothing was proven")
    return int(started)


def prove_ranks(killer: Killer, kills: int) -> None:
    """Compare two ranks, one of which is killed now and then, with unbroken ones. Raises SystemExit on a difference."""
    steps = 2 * kills + 3
    command = [*RL, *WIDTH, *DRAWN, *EVALUATED, "sampler.deterministic=true", f"trainer.steps={steps}"]
    command += ["trainer.kl_coef=0.01"]
    two = ["sampler=vllm", "trainer/deepspeed=zero2", "trainer.num_processes=2", "trainer.save_every=1"]
    whole, broken = (killer.folder / "run" / f"rl-{name}-s0" for name in ("whole-ranks", "broken-ranks"))
    seconds = killer.finish(*command, *two, "name=whole-ranks")
    at = []
    while len(at) < kills:
        killed = killer.kill(broken / "metrics.jsonl", *command, *two, "name=broken-ranks")
        if killed is None:
            raise SystemExit(f"ranks: the run was done after {len(at)} kills of {kills}: more steps are needed")
        at.append(killed)
    killer.finish(*command, *two, "name=broken-ranks")
    optimiser_steps(broken)
    furthest = distance(whole / "model", broken / "model")
    if not furthest <= 1e-6:  # nor where it is NaN
        raise SystemExit(f"ranks: final weights differ by {furthest:.3g}, accepted: 1e-6")
    say(
        f"ranks: {steps} steps of 2 processes ({seconds:.0f} s unbroken), {kills} kills after step "
        f"{', '.join(map(str, at))}; final weights differ by {furthest:.3g}"
    )
    for first, then in ((2, 1), (1, 2)):
        name, folder = f"name=from-{first}-to-{then}", killer.folder / "run" / f"rl-from-{first}-to-{then}-s0"
        while latest_checkpoint(folder / "checkpoints") is None:
            killed = killer.kill(folder / "metrics.jsonl", *command, *two, f"trainer.num_processes={first}", name)
            if killed is None:
                raise SystemExit(f"ranks: {folder} was done before it was killed: more steps are needed")
        killer.finish(*command, *two, f"trainer.num_processes={then}", name)
        started = refuse_from_scratch(folder)
        say(f"ranks: a checkpoint of {first} went on with {then} at step {started}")


def distance(one: Path, other: Path) -> float:
    """Return the largest difference of a weight."""
    models = [load_file(folder / "model.safetensors") for folder in (one, other)]
    return max(float((models[0][name] - models[1][name]).abs().max()) for name in models[0] | models[1])


def prove_records(killer: Killer, kills: int) -> None:
    """Kill four stages. Raises SystemExit on a lost or doubled record, or a checkpoint that loads back differently."""
    run = killer.folder / "run"
    rollout = ["stage=rollout", "task.size=6000", "stage.limit=null", "stage.concurrency=8"]
    sft = ["stage=sft", "trainer.steps=120", "trainer.save_every=2", "stage.limit=null"]
    rl = [*RL, *WIDTH, f"trainer.steps={kills + 8}", "name=records"]
    evaluate = ["stage=eval", "model.path=" + str(run / "pretrain-s0" / "model"), "stage.limit=120"]
    evaluate += ["sampler.max_running=16", f"stage.samples={EVAL_SAMPLES}"]
    eval_folder = run / "eval" / "pretrain-s0" / "calculator"
    stages = (
        (rollout, run / "rollout", ["trajectories.jsonl"]),
        (sft, run / "sft-s0", ["metrics.jsonl"]),
        (rl, run / "rl-records-s0", ["metrics.jsonl", "trajectories/trajectories.jsonl"]),
        (evaluate, eval_folder, ["items.jsonl"]),
    )
    for (overrides, folder, files), share in zip(stages, split(kills), strict=True):
        prove_stage(killer, overrides, folder, files, share)


def split(kills: int) -> list[int]:
    """Return the kills of each of RECORD_STAGES stages: as equal as can be, and all of them."""
    return [(kills + stage) // RECORD_STAGES for stage in range(RECORD_STAGES)]


def prove_stage(killer: Killer, overrides: list[str], folder: Path, files: list[str], kills: int) -> None:
    """Kill one stage, then compare. The first kill comes only once there is a record, which must then survive.

    A training stage is killed until a checkpoint of it was loaded.
    """
    snapshots: dict[str, list[Counter[bytes]]] = {name: [] for name in files}
    checkpoints = number = 0
    while number < kills or ("metrics.jsonl" in files and not checkpoints):
        if killer.kill(folder / files[0], *overrides, may_be_early=number > 0) is None:
            raise SystemExit(f"{overrides[0]}: done after {number} kills of {kills}: give it more to do")
        for name in files:
            snapshots[name].append(Counter(whole_lines(folder / name)))
        checkpoints += reloads(folder)
        number += 1
    killer.finish(*overrides)
    for name in files:
        kept = whole_lines(folder / name)
        aside = whole_lines((folder / name).with_name(f"{Path(name).stem}.rolled_back.jsonl"))
        refuse_lost(folder / name, snapshots[name], Counter(kept) + Counter(aside))
        refuse_doubled(folder / name, kept)
        if name == "metrics.jsonl":  # a line holds its time, so the same one twice was moved twice
            refuse_lost(folder / name, [Counter(aside)], Counter(set(aside)))
        say(
            f"{overrides[0]} {name}: {number} kills, {len(kept)} records, {len(aside)} moved aside, 0 lost, 0 doubled; "
            f"{checkpoints} checkpoints loaded back to what was saved"
        )


def refuse_lost(path: Path, snapshots: list[Counter[bytes]], there: Counter[bytes]) -> None:
    """Check that every line of every snapshot is still there, as often. Raises SystemExit otherwise."""
    for place, snapshot in enumerate(snapshots, 1):
        if missing := snapshot - there:
            raise SystemExit(f"{path}: {missing.total()} records of kill {place} differ: {next(iter(missing))!r:.300}")


def refuse_doubled(path: Path, kept: list[bytes]) -> None:
    """Check that every place has as many records as it should. Raises SystemExit otherwise."""
    for (place, wanted), found in Counter(map(place_of, kept)).items():
        if found != wanted:
            raise SystemExit(f"{path}: {found} records of {place}, {wanted} expected")


def place_of(line: bytes) -> tuple[str, int]:
    """Return the place of a record (a step, a task, a group, a task of eval) and how many records it should have."""
    row = json.loads(line)
    if "task" not in row:
        return f"step {row['step']}", 1
    if "mode" in row:
        return f"{row['task']['id']} {row['mode']}", EVAL_SAMPLES if row["mode"] == "sampled" else 1
    if "step" in row:
        return f"step {row['step']} group {row['group_id']}", GROUP_SIZE
    return row["task"]["id"], 1


def whole_lines(path: Path) -> list[bytes]:
    if not path.is_file():
        return []
    return [line for line in path.read_bytes().splitlines(keepends=True) if line.endswith(b"\n")]


def reloads(folder: Path) -> int:
    """Load and save the newest checkpoint and compare; return 1, or 0 where there is none yet."""
    found = latest_checkpoint(folder / "checkpoints")
    values = stored_config(folder) if found else None
    if found is None or values is None:
        return 0
    config = load(values)
    assert config.model is not None and config.trainer is not None
    base = folder.parent / "pretrain-s0" / "model"
    policy = build_policy(load_model(base), ChatFormat.from_pretrained(base), config.model, config.trainer, 1)
    policy.load_state(found[1])
    again = folder.parent / "reloaded"
    again.mkdir(exist_ok=True)
    policy.save_state(again)
    compare(f"{found[1]} loaded and saved again", digest(load_state(found[1])), digest(load_state(again)), quiet=True)
    return 1


def outcome(folder: Path) -> Any:
    """Return the headline and counts of a stage's summary, without the step at which its last command began."""
    summary = json.loads((folder / "summary.json").read_text())
    summary["counts"].pop("first_step")
    return [summary["headline"], summary["counts"]]


def state(folder: Path) -> Any:
    found = latest_checkpoint(folder / "checkpoints")
    assert found is not None
    return load_state(found[1])


def load_state(checkpoint: Path) -> Any:
    return [read_meta(checkpoint), dict(read_parameters(checkpoint))]


def untimed(path: Path) -> list[dict[str, Any]]:
    """Read the records without times: time metrics, and the seconds of a call."""
    rows = [json.loads(line) for line in path.read_bytes().splitlines()]
    for row in rows:
        for call in row.get("calls", []):
            call.pop("seconds")
        for key in [key for key in row if key == "time" or key.startswith(TIMED)]:
            del row[key]
    return rows


def digest(value: Any) -> str:
    """Hash nested containers by SHA-256, tensors by dtype, shape and bytes."""
    sha = hashlib.sha256()

    def add(part: Any) -> None:
        if isinstance(part, torch.Tensor):
            sha.update(f"{part.dtype}{tuple(part.shape)}".encode())
            sha.update(part.detach().contiguous().flatten().view(torch.uint8).numpy().tobytes())
        elif isinstance(part, dict):
            sha.update(f"dict {len(part)}".encode())
            for key, inner in part.items():
                add(key)
                add(inner)
        elif isinstance(part, (list, tuple)):
            sha.update(f"list {len(part)}".encode())
            for inner in part:
                add(inner)
        else:
            sha.update(part if isinstance(part, bytes) else repr(part).encode())

    add(value)
    return sha.hexdigest()


def compare(what: str, one: str, other: str, quiet: bool = False) -> None:
    if one != other:
        raise SystemExit(f"{what}: {one[:16]} and {other[:16]} differ")
    if not quiet:
        say(f"  equal: {what} {one[:16]}")


def say(text: str) -> None:
    sys.stdout.write(text + "\n")
    sys.stdout.flush()


def parse(argv: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    add = parser.add_argument
    add("--kills", type=whole_number, default=10, help="of the deterministic rl run; 0 leaves it out")
    add("--rank-kills", type=whole_number, default=5, help="of a run of two processes; 0 leaves it out")
    add("--record-kills", type=whole_number, default=20, help="over rollout, sft, rl and eval; 0 leaves them out")
    parser.add_argument("--folder", type=Path, default=Path("outputs/prove-resume"), help="new or empty")
    parser.add_argument("--seed", type=int, default=0, help="of the kill points")
    arguments = parser.parse_args(argv)
    if not (arguments.kills or arguments.rank_kills or arguments.record_kills):
        parser.error("--kills, --rank-kills and --record-kills are all 0, so nothing would be proven")
    if 0 < arguments.record_kills < RECORD_STAGES:
        parser.error(
            f"--record-kills {arguments.record_kills} does not kill each of {RECORD_STAGES} stages once; accepted: 0, "
            f"or {RECORD_STAGES} and more"
        )
    return arguments


def main(argv: Sequence[str] | None = None) -> None:
    arguments = parse(argv)
    if arguments.folder.exists() and any(arguments.folder.iterdir()):
        raise SystemExit(f"--folder {arguments.folder} is not empty")
    os.environ["HF_HUB_OFFLINE"] = "1"
    began = time.monotonic()
    killer = Killer(arguments.folder.resolve(), arguments.seed)
    killer.finish("stage=pretrain", "trainer.steps=150", "stage.conversations=2500")
    if arguments.record_kills:
        prove_records(killer, arguments.record_kills)
    else:
        killer.finish("stage=rollout", "task.size=300", "stage.limit=null")
    if arguments.kills:
        prove_exact(killer, arguments.kills)
    if arguments.rank_kills:
        prove_ranks(killer, arguments.rank_kills)
    say(f"resume proven in {time.monotonic() - began:.0f} s")


if __name__ == "__main__":
    main()
