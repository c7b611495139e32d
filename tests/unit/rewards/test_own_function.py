"""Functions of the user's own: what is refused before they run, what they are given, and every way to fail."""

from dataclasses import replace
from pathlib import Path

import pytest

from mentor.errors import ConfigError, InputError
from mentor.rewards.grades import Missing
from mentor.rewards.own_function import FunctionPath, OwnFunction, check_function
from mentor.types import CallRecord
from tests.fixtures.own_rewards import RAISES, write_rewards
from tests.unit.rewards.builders import HONEST, make_trajectory


def test_a_function_is_named_by_file_and_name():
    assert FunctionPath.read("a/b.py:brief") == FunctionPath(Path("a/b.py"), "brief")
    assert FunctionPath.read("bag_f1") is None and FunctionPath.read("b.py") is None


@pytest.mark.parametrize(
    ("function", "said"),
    [
        ("breif", "the file has no function breif; did you mean brief?"),
        ("xyz", "the file has no function xyz; its functions: brief, parts, "),
        ("later", "later is async; accepted: def"),
        ("strange", "strange takes response; accepted: any of task, trajectory, calls, by name"),
        ("half", "half takes nothing; accepted: any of task"),
    ],
)
def test_what_is_refused_before_the_file_runs(tmp_path: Path, function: str, said: str):
    with pytest.raises(ConfigError) as raised:
        check_function(FunctionPath(write_rewards(tmp_path), function), "reward.terms.x.term")
    assert str(raised.value).startswith(f"`reward.terms.x.term={tmp_path}/my_rewards.py:{function}`: ")
    assert said in str(raised.value)


def test_a_file_that_is_not_there_or_is_no_python(tmp_path: Path):
    with pytest.raises(ConfigError, match="none.py is not a file; accepted: path/to/file.py:function"):
        check_function(FunctionPath(tmp_path / "none.py", "f"), "x")
    (tmp_path / "bad.py").write_text("def f(:\n")
    with pytest.raises(ConfigError, match=r"bad.py:1: not Python"):
        check_function(FunctionPath(tmp_path / "bad.py", "f"), "x")
    check_function(FunctionPath(write_rewards(tmp_path), "alias"), "x")  # what it takes is known when it is loaded


def test_numbers_and_numbers_by_name_come_back(tmp_path: Path):
    path = write_rewards(tmp_path)
    trajectory = make_trajectory(calls=HONEST)
    with OwnFunction(FunctionPath(path, "alias"), 20.0, 1) as brief:
        assert brief.grades([make_trajectory(), trajectory]) == [1.0, 1 / 3]
    with OwnFunction(FunctionPath(path, "parts"), 20.0, 1) as parts:
        assert parts.grades([trajectory]) == [{"ran": 2.0, "words": 1.0}]


def test_calls_come_with_their_results(tmp_path: Path):
    made = make_trajectory(calls=[CallRecord(0, "divide", {"a": 48, "b": 2}, True)])
    messages = [made.messages[0], {"role": "assistant", "content": ""}, {"role": "tool", "content": "24"}]
    trajectory = replace(made, messages=[*messages, made.messages[1]])
    with OwnFunction(FunctionPath(write_rewards(tmp_path), "seen"), 20.0, 1) as seen:
        assert seen.grades([trajectory]) == [{"results": 1.0, "answers": 1.0, "turns": 2.0}]


@pytest.mark.parametrize(
    ("function", "kind", "said"),
    [
        ("raises", "exception", RAISES),
        ("hangs", "timeout", "took more than 1 s"),
        ("ends", "crash", "ended its process (exit code 3)"),
        ("infinite", "bad_value", "returned inf; accepted: a finite number, or finite numbers by name"),
        ("none", "bad_value", "returned None; accepted: a finite number"),
        ("text", "bad_value", "returned a mapping with the name 'a b'"),
    ],
)
def test_a_failure_is_one_line_and_the_next_call_works(tmp_path: Path, function: str, kind: str, said: str):
    path = write_rewards(tmp_path)
    with OwnFunction(FunctionPath(path, function), 1.0, 1) as own:
        (found,) = own.grades([make_trajectory()])
        assert isinstance(found, Missing) and found.kind == kind
        assert found.why.startswith(f"{path}:{function} on task t0 {said}")


def test_a_file_that_cannot_run_is_named_with_its_line(tmp_path: Path):
    path = tmp_path / "broken.py"
    path.write_text("import nothing_of_this_name\n\ndef f(task): return 1\n")
    with pytest.raises(InputError, match=r"broken.py:f cannot be loaded: ModuleNotFoundError: .*\(broken.py:1\)"):
        OwnFunction(FunctionPath(path, "f"), 1.0, 1)
    with pytest.raises(InputError, match="half takes nothing; accepted: any of task, trajectory, calls"):
        OwnFunction(FunctionPath(write_rewards(tmp_path), "half"), 1.0, 1)
