#!/usr/bin/env python3
"""Write the commands and tables of docs/hardware.md: every model on the hardware of every experiment paper_*.

Where an experiment's own settings do not fit, the plan names what to add (as stage=check does) without shortening
trajectories.

    python scripts/hardware_table.py            # write docs/hardware.md
    python scripts/hardware_table.py --check    # exit code 1 where it is not up to date
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from hydra import compose, initialize_config_dir

from mentor.compose import register_schemas, to_config
from mentor.conf_dir import conf_dir
from mentor.planning import Device, Plan, Workload, cheapest_fit, make_plan
from mentor.stages.check_base import shape_of_keys
from mentor.stages.check_workload import make_workload

PAGE = Path(__file__).parents[1] / "docs" / "hardware.md"
START, END = "<!-- made by scripts/hardware_table.py -->", "<!-- end -->"

HARDWARE = {
    "paper_8x80gb": "eight GPUs of 80 GB",
    "paper_1x80gb": "one GPU of 80 GB",
    "paper_1x24gb": "one GPU of 24 GB, with adapters",
}
MODELS = ("qwen3_0_6b", "qwen2_5_1_5b", "qwen3_1_7b", "qwen3_4b", "qwen2_5_7b", "qwen3_8b")
PHASES = ("start", "rollout", "logprobs", "backward", "step", "push", "save")


@dataclass(frozen=True)
class PlannedCommand:
    """added: what the command has beside experiment and model."""

    experiment: str
    model: str
    added: tuple[str, ...]
    plan: Plan

    @property
    def overrides(self) -> list[str]:
        return [f"experiment={self.experiment}", f"model={self.model}", *self.added]

    @property
    def command(self) -> str:
        return " ".join(["mentor stage=rl", *self.overrides])


def main(arguments: Sequence[str]) -> int:
    """0 when written or up to date, 1 with one line on stderr otherwise, 2 for an argument that is not known."""
    if list(arguments) not in ([], ["--check"]):
        sys.stderr.write(f"hardware_table: {' '.join(arguments)} is not accepted; accepted: --check or nothing\n")
        return 2
    text = page(PAGE.read_text(encoding="utf-8"))
    if not arguments:
        PAGE.write_text(text, encoding="utf-8")
    elif PAGE.read_text(encoding="utf-8") != text:
        sys.stderr.write(f"hardware_table: {PAGE.name} is not up to date: run python scripts/hardware_table.py\n")
        return 1
    return 0


def page(text: str) -> str:
    """Make the tables of the page again."""
    before, _, rest = text.partition(START)
    _, _, after = rest.partition(END)
    return f"{before}{START}\n\n{tables(rows())}\n{END}{after}"


@cache
def rows() -> tuple[PlannedCommand, ...]:
    """Plan every model on every hardware."""
    register_schemas()
    with initialize_config_dir(str(conf_dir()), version_base="1.3"):
        return tuple(_row(experiment, model) for experiment in HARDWARE for model in MODELS)


def _row(experiment: str, model: str) -> PlannedCommand:
    added = cheapest_fit(composed_workload([f"experiment={experiment}", f"model={model}"]), same_lengths=True)
    if added is None:
        raise ValueError(f"model={model} fits {experiment} with no setting")
    row = PlannedCommand(experiment, model, tuple(added), Plan(()))
    return PlannedCommand(experiment, model, row.added, make_plan(composed_workload(row.overrides)))


def composed_workload(overrides: Sequence[str]) -> Workload:
    """Compose a command, for the hardware that its experiment names."""
    config = to_config(compose("config", overrides=["stage=check", *overrides]))
    assert config.model is not None and config.launcher.device_memory_gib is not None
    return make_workload(config, shape_of_keys(config.model), Device(config.launcher.device_memory_gib))


def tables(found: Sequence[PlannedCommand]) -> str:
    parts = []
    for experiment, hardware in HARDWARE.items():
        own = [row for row in found if row.experiment == experiment]
        parts += [f"### {hardware[0].upper()}{hardware[1:]}\n", f"`experiment={experiment}`; GiB of each GPU:\n"]
        parts += [_table(own), "```", *(row.command for row in own), "```\n"]
    return "\n".join(parts)


def _table(own: Sequence[PlannedCommand]) -> str:
    heads = ["model", *PHASES, "may use", "vLLM holds", "host"]
    lines = [f"| {' | '.join(heads)} |", f"|{'---|' * len(heads)}"]
    for row in own:
        gpu = {phase.name: phase for phase in row.plan.phases if phase.memory == "GPU"}
        host = max(phase.total for phase in row.plan.phases if phase.memory == "host")
        peak = row.plan.peak.name
        sizes = [f"**{gpu[name].total:.1f}**" if name == peak else f"{gpu[name].total:.1f}" for name in PHASES]
        cells = [f"`{row.model}`", *sizes, f"{gpu[peak].available:.1f}", f"{row.plan.sequences:.1f}", f"{host:.0f}"]
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
