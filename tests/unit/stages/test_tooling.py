"""The toolbox that the `tools` group describes."""

from collections import Counter
from types import SimpleNamespace

import pytest

from mentor.config import ToolsConfig
from mentor.errors import ConfigError, InputError
from mentor.stages.tooling import configured_toolbox, say_counts
from mentor.types import Task

TASK = Task("t", "2+3?", ("5",), "")


def test_one_toolset_for_all_tasks_or_those_that_rows_bring():
    assert "multiply" in configured_toolbox(ToolsConfig(name="calculator")).toolset(TASK).names
    with pytest.raises(InputError, match="task t has no tools of its own, which tools=row needs"):
        configured_toolbox(ToolsConfig(name="row")).toolset(TASK)
    with pytest.raises(ConfigError, match=r"tools\.path is missing"):
        configured_toolbox(ToolsConfig(name="file"))


def test_counts_are_said_in_one_line_where_there_are_any():
    said: list[str] = []
    for counts in (Counter(), Counter(timeout=1, coerced_number=3)):
        say_counts(SimpleNamespace(counts=counts), SimpleNamespace(message=said.append))
    assert said == ["tool calls: 3 coerced_number, 1 timeout"]
