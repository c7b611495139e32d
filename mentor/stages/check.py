"""`stage=check`: whether stage=rl with the same groups can run: its files, tools, reward and memory. Writes nothing.

Where the model is on this machine, its chat format is certified and a conversation in it is shown.
With task.path it says instead what that file holds, and which keys read it.

Works without a GPU, without the network and before any other stage: a hub model that is not on this machine has the
shape that its preset's keys say. What the plan counts and what it estimates is in `mentor.planning.memory`.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from mentor.config import Config, PerturbConfig
from mentor.errors import ConfigError
from mentor.loggers import Logger
from mentor.planning import Plan, Workload, cheapest_fit, make_plan
from mentor.planning.plan_text import refusal, table
from mentor.runs import RunFolder
from mentor.runs.folder import rl_folder
from mentor.stages import StageResult
from mentor.stages.check_base import look_at_base
from mentor.stages.check_chat import show_chat
from mentor.stages.check_file import describe_file
from mentor.stages.check_workload import find_device, make_workload, summary
from mentor.stages.smoke_checks import try_reward, try_teacher, try_tools

if TYPE_CHECKING:  # needs torch, which this stage imports late
    from mentor.linting import Lint


def run(config: Config, folder: RunFolder, logger: Logger) -> StageResult:
    """Headline `memory/peak_gib`, of a GPU; none where task.path names a file, which is described instead.

    Raises ConfigError in one line for a plan that does not fit.
    """
    assert config.model is not None and config.task is not None
    if config.task.path is not None:
        show(describe_file(config.task))
        return StageResult()
    base = look_at_base(config, folder.root, show_chat)
    lines = [f"model {config.model.name}: {base.name}", base.finding, look_at_run(config, folder.root)]
    lines += [*try_tools(config), *try_teacher(config)]
    lint, lint_lines = try_reward(config, folder.root, base.chat)
    workload = make_workload(config, base.shape, find_device(config))
    plan = make_plan(workload)
    show(
        [*lines, *lint_lines, *not_looked_at(config), summary(workload), "", table(plan), *cache_lines(plan, workload)]
    )
    refuse(workload, plan, lint)
    show([f"fits: {plan.peak.name} needs most, {plan.peak.total:.1f} of {plan.peak.available:.1f} GiB"])
    return StageResult(("memory/peak_gib", plan.peak.total), {"parameters": base.shape.parameters})


def look_at_run(config: Config, root: Path) -> str:
    """Say whether the teacher's trajectories are there, and where rl would write."""
    stored, own = root / "rollout" / "trajectories.jsonl", root / rl_folder(config)
    teacher = f"teacher: {stored}" if stored.is_file() else "teacher: no trajectories yet, run `mentor stage=rollout`"
    return f"{teacher}; stage=rl writes {own}{', which is there already' if own.is_dir() else ''}"


def not_looked_at(config: Config) -> list[str]:
    """Name what rl would do otherwise and this check does not look at."""
    plain = PerturbConfig(seed=config.task.perturb.seed) if config.task is not None else None
    keys = ["task.perturb"] if config.task is not None and config.task.perturb != plain else []
    keys += ["reward.anneal"] if config.reward is not None and config.reward.anneal != "none" else []
    return [f"not part of this check: {' and '.join(keys)}"] if keys else []


def cache_lines(plan: Plan, workload: Workload) -> list[str]:
    """Say how many trajectories vLLM's cache holds, where vLLM samples."""
    if plan.sequences is None:
        return []
    return [f"vLLM's cache holds {plan.sequences:.1f} trajectories of {workload.max_tokens} tokens at once"]


def refuse(workload: Workload, plan: Plan, lint: Lint | None) -> None:
    """Raise ConfigError for what keeps rl from running: too long, a reward that pays for tricks, too much memory."""
    longest = workload.shape.max_position_embeddings
    if workload.max_tokens > longest:
        raise ConfigError(
            f"`sampler.max_tokens={workload.max_tokens}` is more than the model's max_position_embeddings={longest}"
        )
    if lint is not None and lint.findings:
        raise ConfigError(
            f"reward: {lint.findings[0].rule.why}, and {len(lint.findings) - 1} more findings that are printed above; "
            "stage.lint_tasks=0 leaves them out"
        )
    if plan.misfits:
        raise ConfigError(refusal(workload, plan.worst, cheapest_fit(workload)))


def show(lines: Sequence[str]) -> None:
    """Print to stdout."""
    sys.stdout.write("\n".join([*lines, ""]))
    sys.stdout.flush()
