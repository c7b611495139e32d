"""`mentor` from a base to RL in debug size, which is killed in the middle and resumed by the same command."""

from __future__ import annotations

import importlib.util
import json
import subprocess
import sys
import time
from pathlib import Path
from tempfile import TemporaryDirectory

from scripts.gpu_check.measuring import Figure, Note, Remark, Size, name_of, narrow

STEPS = 4
BEFORE = (["stage=pretrain"], ["stage=rollout", "teacher=oracle", "task=calculator"])
RL = ["stage=rl", "reward=flexible", f"trainer.steps={STEPS}", "trainer.save_every=1"]
SMALL = ["debug=default", "logger=quiet"]


def check_resume(size: Size, note: Note) -> None:
    with TemporaryDirectory() as outputs:
        common = [*SMALL, f"paths.outputs={outputs}"]
        for stage in BEFORE:
            began = time.perf_counter()
            run([*stage, *common])
            note(Figure(stage[0], time.perf_counter() - began, "s"))
        command = [*RL, *common, *engines(note), f"model.dtype={name_of(narrow())}"]
        folder = Path(outputs) / "debug" / "rl-flexible-s0"
        began = time.perf_counter()
        killed_after = run_and_kill(command, folder)
        note(Figure("steps before the kill", killed_after, "", 1, STEPS - 1))
        run(command)
        note(Figure("stage=rl, killed once and resumed", time.perf_counter() - began, "s"))
        steps = [row["step"] for row in rows(folder)]
        note(Figure("steps in metrics.jsonl, each once", len(steps), "", STEPS, STEPS))
        note(Figure("last step", max(steps, default=0), "", STEPS, STEPS))
        worst = max(row["policy/mismatch_kl"] for row in rows(folder))
        note(Figure("KL of sampler and policy", worst, "nats", high=1e-2))


def engines(note: Note) -> list[str]:
    """Choose vLLM and DeepSpeed where they are installed."""
    chosen = []
    for package, override in (("vllm", "sampler=vllm"), ("deepspeed", "trainer/deepspeed=zero2")):
        if importlib.util.find_spec(package) is None:
            note(Remark(f"without {package}, which is not installed"))
        else:
            chosen.append(override)
    return chosen


def arguments(overrides: list[str]) -> list[str]:
    return [sys.executable, "-m", "mentor.cli", *overrides]


def run(overrides: list[str]) -> None:
    """Run one command. Raises RuntimeError with the last lines of what it said where it fails."""
    done = subprocess.run(arguments(overrides), text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    if done.returncode:
        said = " | ".join(done.stdout.strip().splitlines()[-5:])
        raise RuntimeError(f"mentor {' '.join(overrides)} ended with {done.returncode}: {said}")


def run_and_kill(overrides: list[str], folder: Path) -> int:
    """Kill the command after its first saved step; return the steps that were saved when all its processes are gone."""
    process = subprocess.Popen(arguments(overrides), stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    while process.poll() is None and not saved_steps(folder):
        time.sleep(0.02)
    process.kill()
    process.communicate()  # its processes hold the pipe, so this returns when the last of them has ended
    return saved_steps(folder)


def saved_steps(folder: Path) -> int:
    steps = [int(path.name.rpartition("-")[2]) for path in (folder / "checkpoints").glob("step-*") if path.is_dir()]
    return max(steps, default=0)


def rows(folder: Path) -> list[dict[str, float]]:
    return [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]
