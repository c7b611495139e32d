"""The methods of an experiment compared by the report's own functions, and the order in which they are shown."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from mentor.errors import InputError
from mentor.reporting.read.domain_means import domain_means, gains
from mentor.reporting.read.methods import compare, configuration_of, method_results, own_name
from mentor.reporting.read.order import distinct, settings
from mentor.reporting.read.records import MethodResult, Pair, StageRecord
from scripts.results.stored import BaseResults, column_of

KINDS = {"pretrain": "base", "sft": "SFT", "rl": "RL"}
REWARDS = ("sparse", "strict", "flexible", "flexible_f1", "results")


@dataclass(frozen=True)
class Comparison:
    """All that the texts of one experiment are made from.

    With several configurations their names stand before those of methods and stages. names: of the configurations as
    they stand there, so one empty name for a single one.
    """

    configurations: list[BaseResults]
    names: list[str]
    stages: list[StageRecord]
    methods: list[MethodResult]
    pairs: list[Pair]
    means: list[MethodResult]
    gains: list[Pair]

    @property
    def settings(self) -> list[str]:
        """Sampled first."""
        return settings(self.methods)


def compare_configurations(configurations: Sequence[BaseResults]) -> Comparison:
    """Compare the methods of each configuration. Raises InputError where a model lacks a result that another has."""
    several = len(configurations) > 1
    named = [own.named() for own in configurations] if several else list(configurations)
    names = [own.name for own in configurations] if several else [""]
    results = [row for own in named for row in own.results]
    stages = [record for own in named for record in own.stages]
    scores = {key: score for own in named for key, score in own.scores.items()}
    methods = sorted(method_results(results, stages, scores), key=lambda method: _place(method.method, names))
    for name in names:
        _check_whole([method for method in methods if configuration_of(method.method) == name])
    return Comparison(
        configurations=list(configurations),
        names=names,
        stages=stages,
        methods=methods,
        pairs=compare(methods, scores),
        means=domain_means(methods, scores),
        gains=gains(methods, scores),
    )


def _check_whole(methods: Sequence[MethodResult]) -> None:
    """Raise InputError where a model has no result on a split that another model of the configuration answered."""
    models = {model for method in methods for model in method.models}
    for column, setting in distinct((column_of(method), method.setting) for method in methods):
        answered = [method for method in methods if (column_of(method), method.setting) == (column, setting)]
        found = {model for method in answered for model in method.models}
        if lacking := sorted(models - found):
            raise InputError(f"{column} {setting} has no result of {', '.join(lacking)}")


def _place(method: str, names: Sequence[str]) -> tuple[int, int, str]:
    """By configuration the base first, then SFT, then RL: the project's rewards from the barest to the fullest, others
    by name."""
    kind, _, reward = own_name(method).partition("-")
    order = list(KINDS).index(kind) if kind in KINDS else len(KINDS)
    return names.index(configuration_of(method)), order, f"{REWARDS.index(reward)}" if reward in REWARDS else reward


def label(method: str) -> str:
    """Name a method as the texts do: base, SFT, RL `flexible`."""
    kind, _, name = own_name(method).partition("-")
    return f"`{own_name(method)}`" if kind not in KINDS else f"{KINDS[kind]} `{name}`" if name else KINDS[kind]
