"""Estimate requests, tokens and cost of a rollout through an endpoint, from the lengths of texts."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache

from mentor.endpoints.responses import text_tokens
from mentor.teachers.endpoint_session import opening
from mentor.types import Task

TYPICAL_CALLS = 3  # of a task that does not say how many it needs; one a turn, and a turn to answer
TYPICAL_TURN = 150  # sampled tokens of a turn
RESULT_TOKENS = 30  # of a tool result with what the protocol puts around it
UNBOUNDED_TURN = 4096  # sampled tokens taken as the most where max_tokens is null


@dataclass(frozen=True)
class Volume:
    """Requests, their prompt and sampled tokens, and what they cost."""

    requests: int
    prompt_tokens: int
    completion_tokens: int
    cost: float


def estimate(
    tasks: Sequence[Task],
    schemas_json: Callable[[Task], str],
    instruction: str | None,
    samples: int,
    max_turns: int,
    max_tokens: int | None,
    input_price: float,
    output_price: float,
) -> tuple[Volume, Volume]:
    """Return (expected, most).

    expected: as many turns as a task's known program needs, of typical length. most: every turn, used to its limit.
    Retries are not counted, answers that are stored already are. schemas_json: the tool schemas of a task.
    """
    longest = max_tokens or UNBOUNDED_TURN
    around = lru_cache(lambda schemas: text_tokens([opening(instruction, []), json.loads(schemas)]))
    volumes = []
    for turn_tokens, all_turns in ((min(TYPICAL_TURN, longest), False), (longest, True)):
        requests = prompt = 0
        for task in tasks:
            turns = max_turns if all_turns else min(max_turns, _calls(task) + 1)
            first = around(schemas_json(task)) + text_tokens(task.question) + sum(map(text_tokens, task.earlier))
            requests += samples * turns
            prompt += samples * (turns * first + turns * (turns - 1) // 2 * (turn_tokens + RESULT_TOKENS))
        sampled = requests * turn_tokens
        volumes.append(Volume(requests, prompt, sampled, (prompt * input_price + sampled * output_price) / 1e6))
    return volumes[0], volumes[1]


def _calls(task: Task) -> int:
    if task.reference is not None:
        return len(task.reference)
    return len(task.source["program"]) if "program" in task.source else TYPICAL_CALLS
