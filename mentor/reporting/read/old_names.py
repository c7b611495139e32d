"""Names of metrics and summary keys that earlier versions wrote, so that the report opens their runs."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

RENAMED = {
    "lens": "tool_use",  # a key of a row of results, and the area of the metrics `lens/<name>`
    "alarm/dead_groups": "alarm/zero_variance",
}
"""Old name to new name: of a whole key, or of the area before the `/` of a metric."""


def current_name(name: str) -> str:
    """Translate the name of a metric or of a summary key; a name that was never changed stays."""
    area, slash, rest = name.partition("/")
    return RENAMED.get(name) or RENAMED.get(area, area) + slash + rest


def with_current_names(record: Mapping[str, Any]) -> dict[str, Any]:
    """Translate the keys of one record, not those inside of its values. A key already under its new name wins."""
    return {current_name(key): value for key, value in record.items()} | {
        key: value for key, value in record.items() if current_name(key) == key
    }
