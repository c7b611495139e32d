"""Judge calls for a row of the Berkeley Function Calling Leaderboard as it is published: rows, calls -> verdict."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from mentor.rewards.call_judge import CallsVerdict, judge_calls
from mentor.tasks.bfcl import gold_of_rows


def judge(question_row: Mapping[str, Any], answer_row: Mapping[str, Any] | None, calls: Any) -> CallsVerdict:
    """Judge one output, as `judge_calls`.

    answer_row: not looked at in `irrelevance`, where the right output is no call, and in `relevance`, where it is any.
    Raises InputError for rows of different ids and of categories that are not judged by their calls in Python.
    """
    return judge_calls(gold_of_rows(question_row, answer_row), calls)
