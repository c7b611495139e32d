"""The ways in which stage=parity puts the same greedy questions to a model."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from mentor.config import ModelConfig, SamplerConfig, ToolsConfig
from mentor.environment import Environment, RolloutRequest
from mentor.environment.environment import Begin
from mentor.evaluation.conversations import Said, unlike
from mentor.runs.as_trained import trained_with
from mentor.serving.asgi_client import InProcessClient
from mentor.serving.http_server import ChatServer, Serving
from mentor.stages.student import student_environment
from mentor.stages.tooling import configured_toolbox
from mentor.tools import Toolbox
from mentor.types import CallError, StopReason, Task, Tokens, Trajectory

BY_CLIENT = "serve with a client's tools"


@dataclass(frozen=True)
class Settings:
    """What decides how a model is used."""

    tools: ToolsConfig
    model: ModelConfig
    sampler: SamplerConfig


def settings_of_training(own: Settings, model: Path | str) -> Settings:
    """Return the settings with all that the stage which made the model says of its tools, chat format and limits."""
    stored = trained_with(model)
    return Settings(
        replace(own.tools, **stored.get("tools", {})),
        replace(own.model, **stored.get("model", {})),
        replace(own.sampler, **stored.get("sampler", {})),
    )


def open_environment(model: Path | str, settings: Settings) -> AbstractContextManager[Environment]:
    return student_environment(model, configured_toolbox(settings.tools), settings.model, settings.sampler)


def roll_out(environment: Environment, tasks: Sequence[Task]) -> list[Trajectory]:
    return environment.rollout([RolloutRequest(task, seed=0, temperature=0.0) for task in tasks])


def ask_server(environment: Environment, trained: Sequence[Trajectory]) -> dict[str, dict[int, Said]]:
    """Put the same questions to the server; by way and place in `trained`, what was said.

    A client that runs the tools is told of no malformed call, and does not know training's limits: conversations with
    either are left out of its way.
    """
    served: dict[int, Said] = {}
    by_client: dict[int, Said] = {}
    toolbox = environment.toolbox
    server = ChatServer(environment, Serving("model"))

    async def use(begin: Begin) -> None:
        client = InProcessClient(server, begin)
        for place, trajectory in enumerate(trained):
            task = trajectory.task
            reply = await client.ask(task.prompt)
            steps = reply["mentor"]["steps"]
            served[place] = Said(tokens_of(reply), [step["content"] for step in steps if step["role"] == "tool"])
            malformed = any(call.error is CallError.MALFORMED for call in trajectory.calls)
            if trajectory.stop_reason is not StopReason.ANSWERED or malformed:
                continue
            async with toolbox.lease(task) as executor:

                async def run_calls(calls: Sequence[tuple[str, dict[str, Any]]], task: Task = task) -> list[str]:
                    return [result.text for result in await executor.call_turn(calls, f"client-{task.id}")]

                turns = environment.limits.max_turns
                schemas = json.loads(toolbox.schemas_json(task))
                reply, results = await client.converse(task.prompt, schemas, run_calls, turns)
                await executor.end_session(f"client-{task.id}")
            shown = [environment.chat.truncate(text, environment.limits.max_result_tokens) for text in results]
            by_client[place] = Said(tokens_of(reply), shown)

    environment.run_open(use)
    return {"serve": served, BY_CLIENT: by_client}


def tokens_of(reply: Mapping[str, Any]) -> Tokens:
    own = reply["mentor"]
    return Tokens(own["token_ids"], own["loss_mask"], own["logprobs"], own["starts"])


def part_of(trajectory: Trajectory, way: str) -> Said:
    """What a way is compared with: to a client that runs the tools the last turn's prompt is all there is."""
    said = Said.of(trajectory)
    return replace(said, tokens=said.tokens.segments()[-1]) if way == BY_CLIENT else said


async def changed_results(taught: Sequence[Trajectory], toolbox: Toolbox) -> list[str]:
    """Run the teacher's calls again; a line for each whose result is not the text that it was."""
    changed = []
    async with toolbox:
        for trajectory in taught:
            stored = [message["content"] for message in trajectory.messages if message["role"] == "tool"]
            async with toolbox.lease(trajectory.task) as executor:
                for call, text in zip(trajectory.calls, stored, strict=False):
                    result = await executor.call(call.name or "", call.arguments, session=trajectory.task.id)
                    if result.text != text:
                        said = f"the result of {call.name} {unlike(result.text, text)}"
                        changed.append(f"tools, {trajectory.task.id}: {said}")
                await executor.end_session(trajectory.task.id)
    return changed
