"""Which turn earned what of a reward: the terms that calls earn, measured again on the calls before each turn.

Built-in terms are functions of a trajectory's calls, so they are defined after every turn. All else (the outcome, a
floor, a judge or a function of your own) is known of the whole trajectory alone.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from mentor.rewards.grades import Term
from mentor.rewards.reward_terms import BuiltinTerm, TermSettings
from mentor.types import RewardBreakdown, Trajectory


def with_earned(
    trajectory: Trajectory, breakdown: RewardBreakdown, terms: Mapping[str, Term], settings: Mapping[str, TermSettings]
) -> RewardBreakdown:
    """Add to a breakdown, for each part that calls earn, what those before each turn had earned of it.

    The factor of the whole trajectory applies to every turn: `wrong_scale` where its answer is wrong.
    """
    earned = {}
    for name in breakdown.parts:
        term = terms.get(name)
        if isinstance(term, BuiltinTerm):
            factor = settings[name].factor(breakdown.correct or 0.0)
            earned[name] = tuple(factor * value for value in values_before_turns(trajectory, term))
    return replace(breakdown, earned=earned)


def values_before_turns(trajectory: Trajectory, term: BuiltinTerm) -> list[float]:
    """Measure the calls before each turn, (K,): 0 before the first, where nothing is earned yet."""
    turns = range(trajectory.first_turn + 1, trajectory.first_turn + trajectory.turns)
    before = [replace(trajectory, calls=[call for call in trajectory.calls if call.turn < turn]) for turn in turns]
    values = [term.measure(entry) for entry in before]
    return [0.0, *(value for value in values if value is not None)]  # none is: the whole trajectory's is known
