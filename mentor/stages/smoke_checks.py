"""The smoke checks of `stage=check`: call each tool once, try the teacher once, and try the reward."""

from __future__ import annotations

import asyncio
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

from mentor.config import CheckStage, Config, RewardConfig, TaskConfig, ToolsConfig
from mentor.errors import ToolError
from mentor.rewards import build_reward
from mentor.stages.judging import open_judge
from mentor.stages.teaching import configured_teacher
from mentor.stages.tooling import configured_toolbox
from mentor.tasks.requested_format import format_warnings, in_format
from mentor.tools.probe import Probe, probe_tools
from mentor.types import Task

if TYPE_CHECKING:  # both need torch, which check imports late
    from mentor.chat import ChatFormat
    from mentor.linting import Lint


def try_tools(config: Config) -> list[str]:
    """Call every tool once, with arguments made from its schema. Raises ToolError where one hangs or breaks."""
    tools = config.tools
    assert isinstance(tools, ToolsConfig)
    toolbox = configured_toolbox(tools)
    if toolbox.default is None:
        return ["tools: those of each task"]

    async def run() -> tuple[str, list[Probe]]:
        async with toolbox, toolbox.lease(Task("probe", "", (), "")) as executor:
            return executor.summary, await probe_tools(executor)

    summary, probes = asyncio.run(run())
    broken = next((probe for probe in probes if probe.broken), None)
    if broken is not None:
        raise ToolError(f"tools={tools.name}: {broken}, called with arguments made from its schema")
    return [f"tools: {summary}", *(f"  {probe}" for probe in probes)]


def try_teacher(config: Config) -> list[str]:
    """Ask an endpoint once, or look for the folder of a model. Raises StageError where an endpoint gives no answer."""
    return configured_teacher(config).smoke_check()


def try_reward(config: Config, root: Path, chat: ChatFormat | None) -> tuple[Lint | None, list[str]]:
    """Try the reward on the teacher's tasks, or on generated ones where there is no rollout yet.

    Returns the lint, None where there is nothing to try, and lines to print.
    """
    from mentor.linting import lint_reward
    from mentor.linting.tasks import generated_tasks, plain_chat, teacher_tasks

    stage, tools, reward = config.stage, config.tools, config.reward
    assert isinstance(stage, CheckStage) and isinstance(tools, ToolsConfig) and isinstance(reward, RewardConfig)
    if stage.lint_tasks == 0:
        return None, []
    stored, toolbox = root / "rollout" / "trajectories.jsonl", configured_toolbox(tools)
    if stored.is_file():
        tasks = teacher_tasks(stored, stage.lint_tasks)
    else:
        generated = generated_tasks(toolbox, stage.lint_tasks) if tools.name == "calculator" else []
        tasks = in_format(generated, (config.task or TaskConfig()).answer_format)
    if not tasks:
        return None, ["reward: not tried, no teacher's trajectory with tool calls yet"]
    said: list[str] = []
    with (
        open_judge(config, None, said.append) as judge,
        build_reward(None, said.append, judge, **asdict(reward)) as scorer,
    ):
        lint = lint_reward(scorer, tasks, toolbox, chat or plain_chat(task.question for task in tasks))
    verdict = [f"reward: {finding}" for finding in lint.findings] or [
        f"reward: {reward.name} keeps every order on {len(tasks)} tasks"
    ]
    around = {"model.question_template": config.model.question_template} if config.model is not None else {}
    return lint, ["", lint.table(), "", *verdict, *said, *format_warnings(tasks, "task", around)]
