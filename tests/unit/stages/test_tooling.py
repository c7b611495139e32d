"""The toolbox that the `tools` group describes."""

from types import SimpleNamespace

import pytest

from mentor.config import ToolsConfig
from mentor.errors import ConfigError, InputError
from mentor.stages.tooling import configured_toolbox, say_counts
from mentor.tools import Toolbox
from mentor.types import CallError, Task

TASK = Task("t", "2+3?", ("5",), "")


def test_one_toolset_for_all_tasks_or_those_that_rows_bring():
    assert "multiply" in configured_toolbox(ToolsConfig(name="calculator")).toolset(TASK).names
    with pytest.raises(InputError, match="task t has no tools of its own, which tools=row needs"):
        configured_toolbox(ToolsConfig(name="row")).toolset(TASK)
    with pytest.raises(ConfigError, match=r"tools\.path is missing"):
        configured_toolbox(ToolsConfig(name="file"))


@pytest.mark.parametrize(("cores", "processes", "workers"), [(1, 1, 2), (8, 1, 8), (96, 8, 12), (96, 1, 16)])
def test_without_a_number_the_cores_say_how_many_calls_run_at_once(cores, processes, workers, monkeypatch):
    monkeypatch.setattr("os.sched_getaffinity", lambda _: set(range(cores)))
    for wanted, found in ((None, workers), (5, 5)):
        toolbox = configured_toolbox(ToolsConfig(name="calculator", workers=wanted), processes=processes)
        assert toolbox._make.keywords["workers"] == found


def test_counts_and_tools_that_never_worked_are_said_where_there_are_any():
    said: list[str] = []
    toolbox = Toolbox(None)
    assert say_counts(toolbox, SimpleNamespace(message=said.append)) == {} and said == []
    toolbox.counts.kinds["coerced_number"] = 3
    toolbox.counts.failed(CallError.TIMEOUT, "no result within 2 s", "slow")
    toolbox.counts.failed(CallError.EXCEPTION, "KeyError: 'x'", "resumed")
    never = say_counts(toolbox, SimpleNamespace(message=said.append), worked=["resumed"])
    how = "1 of 1 calls failed, the first: timeout: no result within 2 s"
    assert never == {"slow": how}
    assert said == ["tool calls: 3 coerced_number, 1 timeout, 1 exception", f"tools that never worked: slow ({how})"]
