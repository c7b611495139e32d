"""One RL step: sample and score groups, gather experience, assign advantages, update the policy, push its weights."""

from __future__ import annotations

from dataclasses import dataclass

from mentor.policy import Policy
from mentor.policy.reference import Reference
from mentor.policy.teacher_model import ScoringTeacher
from mentor.rl.advantages import assign_advantages, drop_surplus, enough_signal
from mentor.rl.distilling import ask_teacher, distillation_metrics
from mentor.rl.experience import gather_experience
from mentor.rl.reward_shaping import fade_guidance, subtract_kl, subtract_overlong
from mentor.rl.rollouts import GroupSampler, Reward, score_groups
from mentor.rl.settings import AlgorithmSettings
from mentor.rl.update import update_policy
from mentor.sampling import Canary, push_weights
from mentor.timer import Timer
from mentor.types import TrajectoryGroup


@dataclass(frozen=True)
class StepRunner:
    """What all steps of a run have in common. Every rank takes every step.

    reference: None without a KL term. teacher: None without distillation. canary: shows whether pushed weights arrived.
    pad_id: of the tokenizer.
    """

    policy: Policy
    reference: Reference | None
    teacher: ScoringTeacher | None
    rollouts: GroupSampler
    reward: Reward
    canary: Canary
    algorithm: AlgorithmSettings
    pad_id: int

    def begin(self, start: int) -> None:
        """Push the weights that the first step samples with. start: the steps done."""
        self.rollouts.environment.sampler.sleep()
        self._push(start, Timer())

    def take(
        self, step: int, timer: Timer, run_success: float | None = None
    ) -> tuple[list[TrajectoryGroup], dict[str, float]]:
        """Take step `step`, from 1: return its groups and the stats of the update and the push.

        Also those groups are returned that dynamic sampling did not train on. timer: gets the seconds of each phase.
        run_success: the share of right answers in the steps before; None where there is none.
        """
        groups, rounds = self._sampled(step, timer, run_success)
        with timer("sleep"):
            self.rollouts.environment.sampler.sleep()
        trained = drop_surplus(groups, self.algorithm.prompts, self.algorithm.advantage)
        shuffle_seed = f"minibatches/{self.rollouts.seed}/{step}"
        with timer("logprobs"):
            experience = gather_experience(
                trained, self.policy, self.reference, self.pad_id, self.algorithm, shuffle_seed
            )
        stats = subtract_kl(experience, self.algorithm.shaping)
        assign_advantages(trained, self.algorithm.advantage)
        if self.teacher is not None:
            with timer("teacher"):
                experience = ask_teacher(experience, self.teacher, self.algorithm.loss.distill)
            stats |= distillation_metrics(experience, self.algorithm.loss.distill)
        with timer("update"):
            stats |= update_policy(self.policy, experience, self.algorithm, shuffle_seed, self.rollouts.ranks)
        stats |= self._push(step, timer)
        if self.algorithm.rounds > 1:
            stats |= {"rollout/rounds": float(rounds), "groups/dropped": (len(groups) - len(trained)) / len(groups)}
        if self.rollouts.curriculum is not None:
            stats |= self.rollouts.curriculum.metrics(step)
        return groups, stats

    def _sampled(self, step: int, timer: Timer, run_success: float | None) -> tuple[list[TrajectoryGroup], int]:
        """Sample and score rounds of groups until enough have a signal; return all of them, and how many rounds."""
        groups: list[TrajectoryGroup] = []
        for number in range(self.algorithm.rounds):
            with timer("rollout"):
                sampled = self.rollouts.sample(step, number)
            with timer("reward"):
                score_groups(sampled, self.reward, self.rollouts.ranks)
                fade_guidance(sampled, self.algorithm.shaping, run_success)
                subtract_overlong(sampled, self.algorithm.shaping)
            if self.rollouts.curriculum is not None:
                self.rollouts.curriculum.record(step, sampled)
            groups += sampled
            if enough_signal(groups, self.algorithm.prompts, self.algorithm.advantage):
                break
        return groups, number + 1

    def _push(self, step: int, timer: Timer) -> dict[str, float]:
        sampler, temperature = self.rollouts.environment.sampler, self.rollouts.temperature
        return push_weights(self.policy, sampler, self.canary, temperature, step, timer)
