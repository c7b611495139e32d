"""Steps of RL, timed by phase: `mentor stage=rl` of a checkout, and TRL's GRPOTrainer, each as a process of its own.

Every process takes one step more than is counted: the first, which starts the graders and fills the caches.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[2]
RUN = "bench"
STUDENT, OURS = "pretrain-s0", "rl-flexible-s0"
RATE = 1e-9  # so that all steps sample from one student, here and there
PHASES = ("rollout", "reward", "logprobs", "update", "push", "rest")
"""They add up to the step."""
PARTS = {"rollout": ("prefill", "decode", "tools"), "update": ("forward", "backward", "optimizer")}
"""What of a phase is known apart; sampling with vLLM has no such parts."""
NOT_IN_A_STEP = 10**6  # so many steps lie between two checkpoints, and between two stored steps


@dataclass(frozen=True)
class Shape:
    """What a step is made of, and where it runs. threads: of all processes together."""

    prompts: int = 32
    group_size: int = 8
    minibatches: int = 2
    threads: int = 2
    processes: int = 1
    sampler: str = "transformers"


@dataclass(frozen=True)
class Step:
    """seconds: of each phase and, as `<phase>/<part>`, of its parts. sampled, trained: tokens, here with prompts."""

    seconds: Mapping[str, float]
    sampled: int
    trained: int

    @property
    def total(self) -> float:
        return sum(self.seconds[phase] for phase in PHASES)


@dataclass(frozen=True)
class Prompts:
    """The questions of a step with their answers, and the token ids of each prompt."""

    questions: list[str] = field(default_factory=list)
    answers: list[str] = field(default_factory=list)
    token_ids: list[list[int]] = field(default_factory=list)


def make_base(folder: Path, shape: Shape, small: bool) -> Path:
    """Make a run in the folder: a pretrained student, and as many tasks as a step has, solved; return the run's folder.

    small: a student of debug=default, for which five times less is computed.
    """
    preset = ["debug=default"] if small else []
    tasks = [f"task.size={shape.prompts}", "stage.limit=null"]
    for stage in (["stage=pretrain"], ["stage=rollout", *tasks]):
        _mentor(ROOT, folder, [*stage, *preset, f"run={RUN}", "logger=quiet"], shape.threads)
    return folder / "outputs" / RUN


def take_ours(
    checkout: Path, base: Path, folder: Path, shape: Shape, steps: int, extra: Sequence[str]
) -> tuple[list[Step], Path]:
    """Take `steps` counted steps in a new run beside copies of the base's stages; return them and the stage's folder.

    extra: overrides, which come last.
    """
    run = folder / "outputs" / RUN
    if run.exists():
        shutil.rmtree(run)
    for made in (STUDENT, "rollout"):
        shutil.copytree(base / made, run / made)
    _mentor(checkout, folder, [*overrides(shape, steps), *extra], shape.threads)
    rows = [json.loads(line) for line in (run / OURS / "metrics.jsonl").read_text().splitlines()]
    return [read_row(before, row) for before, row in zip(rows, rows[1:], strict=False)], run / OURS


def overrides(shape: Shape, steps: int) -> list[str]:
    """Write the command of `steps` counted steps."""
    return [
        "stage=rl",
        f"run={RUN}",
        f"stage.limit={shape.prompts}",
        f"trainer.steps={steps + 1}",
        f"trainer.prompts_per_step={shape.prompts}",
        f"trainer.group_size={shape.group_size}",
        f"trainer.minibatches={shape.minibatches}",
        f"trainer.learning_rate={RATE}",
        "trainer.schedule=constant",
        f"trainer.save_every={NOT_IN_A_STEP}",
        f"stage.save_trajectories_every={NOT_IN_A_STEP}",
        f"sampler={shape.sampler}",
        f"trainer.num_processes={shape.processes}",
        f"launcher.threads={max(1, shape.threads // shape.processes)}",
        "logger=quiet",
    ]


def read_row(before: Mapping[str, Any], row: Mapping[str, Any]) -> Step:
    """Read a step from its metrics; `rest` is what lies between two records and in no phase."""
    named = {key[5:-2]: value for key, value in row.items() if key.startswith("time/")}
    seconds = {phase: named[phase] for phase in ("rollout", "reward", "logprobs", "update")}
    seconds["push"] = named["sleep"] + named["push"] + named["push_check"]
    seconds["rest"] = row["time"] - before["time"] - sum(seconds.values())
    parts = {name: value for name, value in named.items() if "/" in name}
    return Step({**seconds, **parts}, int(row["rollout/tokens"]), int(row["policy/tokens"]))


def read_prompts(stage: Path, count: int) -> Prompts:
    """Read the prompts of the last step, which is stored. Raises SystemExit where it has not `count` of them."""
    found = Prompts()
    for line in (stage / "trajectories" / "trajectories.jsonl").read_text().splitlines():
        row = json.loads(line)
        if row["task"]["question"] in found.questions:
            continue
        tokens = row["tokens"]
        found.questions.append(row["task"]["question"])
        found.answers.append(row["task"]["answer"][0])
        found.token_ids.append(tokens["token_ids"][: tokens["loss_mask"].index(True)])
    if len(found.questions) != count:
        raise SystemExit(f"bench_step: the run has {len(found.questions)} tasks, and --prompts is {count}")
    return found


def take_trl(
    python: Path, base: Path, folder: Path, shape: Shape, steps: int, prompts: Prompts, limits: Mapping[str, int]
) -> tuple[list[Step], dict[str, str]]:
    """Take `steps` counted steps of TRL; return them and the versions of its packages.

    limits: `rows` of a forward pass, `turn_tokens` and `turns`. Raises SystemExit where a prompt has other tokens.
    """
    folder.mkdir(parents=True, exist_ok=True)
    order = {
        **asdict(shape),
        **limits,
        "steps": steps + 1,
        "rate": RATE,
        "model": str(base / STUDENT / "model"),
        "tools": str(ROOT / "mentor" / "tools" / "builtin" / "calculator.py"),
        "questions": prompts.questions,
        "answers": prompts.answers,
        "output": str(folder),
    }
    (folder / "order.json").write_text(json.dumps(order))
    program = Path(__file__).with_name("trl_program.py")
    environment = {key: value for key, value in os.environ.items() if key != "PYTHONPATH"}
    _run([str(python), str(program), str(folder / "order.json")], folder, environment, shape.threads)
    result = json.loads((folder / "result.json").read_text())
    for question, ours in zip(prompts.questions, prompts.token_ids, strict=True):
        if (theirs := result["prompts"].get(question)) != ours:
            raise SystemExit(f"bench_step: {question!r} has other tokens in TRL: {theirs}; here: {ours}")
    return [Step(**step) for step in result["steps"][1:]], result["versions"]


def _mentor(checkout: Path, folder: Path, arguments: Sequence[str], threads: int) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    environment = {**os.environ, "PYTHONPATH": str(checkout)}
    _run([sys.executable, "-m", "mentor.cli", *arguments], folder, environment, threads)


def _run(command: Sequence[str], folder: Path, environment: Mapping[str, str], threads: int) -> None:
    """Run a command to its end. Raises SystemExit with what it said last where it fails."""
    environment = {**environment, "OMP_NUM_THREADS": str(threads), "HF_HUB_OFFLINE": "1"}
    done = subprocess.run(
        command, cwd=folder, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )
    if done.returncode:
        raise SystemExit(f"bench_step: {' '.join(command)} ended with {done.returncode}:\n{done.stdout[-3000:]}")
