"""Sample the groups of an RL step and score them: each rank does its part, and all ranks end up with all groups."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import accumulate
from typing import Protocol

from mentor.environment import Environment, RolloutRequest
from mentor.policy.ranks import Ranks
from mentor.rl.curriculum import Curriculum
from mentor.rl.groups import as_groups, first_place, group_requests, shuffled_tasks
from mentor.types import RewardBreakdown, Task, Trajectory, TrajectoryGroup


class Reward(Protocol):
    """groups_at_once: how many groups are scored at a time, more than one where scoring waits for an endpoint."""

    groups_at_once: int

    def score(self, trajectories: Sequence[Trajectory]) -> list[RewardBreakdown]: ...


@dataclass(frozen=True)
class GroupSampler:
    """Samples `prompts` groups of `group_size` trajectories at a time.

    expected_tokens: tokens of a trajectory by task id, which rollouts are balanced by. shares: of each rank in them, as
    many as its rollout engines. rounds: the most sampling rounds of a step. curriculum: draws the tasks; None takes the
    next of a shuffle.
    """

    environment: Environment
    tasks: Sequence[Task]
    expected_tokens: Callable[[str], int]
    ranks: Ranks
    shares: Sequence[int]
    prompts: int
    group_size: int
    seed: int
    temperature: float
    rounds: int = 1
    top_p: float = 1.0
    top_k: int | None = None
    curriculum: Curriculum | None = None

    def sample(self, step: int, number: int) -> list[TrajectoryGroup]:
        """Sample the groups of the step's sampling round `number`, from 0."""
        first = first_place(step, number, self.rounds, self.prompts)
        if self.curriculum is None:
            drawn = shuffled_tasks(self.tasks, first, self.prompts, self.seed)
        else:
            drawn = self.curriculum.draw(step, number, self.prompts)
        requests = group_requests(
            drawn, step, first, self.group_size, self.seed, self.temperature, self.top_p, self.top_k
        )
        return as_groups(self._trajectories(requests), self.group_size)

    def _trajectories(self, requests: Sequence[RolloutRequest]) -> list[Trajectory]:
        """Sample one trajectory per request, (P * G,), in their order."""
        costs = [self.expected_tokens(request.task.id) for request in requests]
        own = contiguous_parts(costs, self.shares)[self.ranks.rank]
        parts = self.ranks.all_gather(self.environment.rollout([requests[index] for index in own]))
        return [trajectory for part in parts for trajectory in part]


def score_groups(groups: Sequence[TrajectoryGroup], reward: Reward, ranks: Ranks) -> None:
    """Set the rewards of every group. Each rank scores whole groups, every `ranks.size`-th."""
    own = [group.trajectories for group in groups[ranks.rank :: ranks.size]]
    with ThreadPoolExecutor(reward.groups_at_once) as threads:
        scored = ranks.all_gather([*threads.map(reward.score, own)])
    for index, group in enumerate(groups):
        group.rewards = scored[index % ranks.size][index // ranks.size]


def contiguous_parts(tokens: Sequence[int], shares: Sequence[int]) -> list[range]:
    """Cut a sequence into runs with these shares of the tokens, nearly, so that most groups stay whole."""
    ends = list(accumulate(tokens))
    total = ends[-1] if ends else 0
    cuts = [0]
    for part in [*accumulate(shares)][:-1]:
        wanted = total * part / sum(shares)
        nearest = min(range(cuts[-1], len(tokens) + 1), key=lambda i: abs((ends[i - 1] if i else 0) - wanted))
        cuts.append(nearest)
    cuts.append(len(tokens))
    return [range(start, stop) for start, stop in zip(cuts, cuts[1:], strict=False)]
