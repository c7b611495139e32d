"""The order in which the report shows domains, decoding modes and settings."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from mentor.reporting.read.records import EvalResult, MethodResult, setting_name

DOMAINS = {"id": "In domain", "ood": "Out of domain", "unknown": "Domain unknown"}
MODES = ("sampled", "greedy")


def settings(results: Iterable[EvalResult | MethodResult]) -> list[str]:
    """Sort the settings found: sampled, greedy, then those without tools."""
    order = {setting_name(mode, with_tools): None for with_tools in (None, False) for mode in MODES}
    found = {result.setting for result in results}
    return [*(setting for setting in order if setting in found), *sorted(found - order.keys())]


def distinct(values: Iterable[Any]) -> list[Any]:
    """Drop repeated values; keep the order of first appearance."""
    return list(dict.fromkeys(values))
