"""Which engine a source gets, and why."""

import ast

import pytest

from mentor.errors import ConfigError, InputError
from mentor.tools.engine_choice import ENGINES, choose_engine
from mentor.tools.source import Source

PLAIN = "def f(a):\n    return a\n"
GENERAL = "class A(dict): pass\ndef f(a):\n    return a\n"


def choose(text: str, engine: str, trusted: bool = False) -> tuple[str, str]:
    return choose_engine(Source("t", text, ("f",), trusted=trusted), ast.parse(text), "t.py", engine)


def test_auto_is_monty_where_it_runs_all_of_the_source():
    assert ENGINES == ("auto", "monty", "cpython")
    assert choose(PLAIN, "auto") == choose(PLAIN, "monty") == ("monty", "")
    engine, why = choose(GENERAL, "auto")
    assert engine == "cpython" and why.startswith("t.py:1: monty cannot run `class A(dict): pass`")
    with pytest.raises(InputError, match=r"^t\.py:1: the sandbox cannot run `class A"):
        choose(GENERAL, "monty")


def test_cpython_when_asked_for_or_trusted():
    assert choose(PLAIN, "cpython") == ("cpython", "as tools.engine says")
    assert choose(PLAIN, "auto", trusted=True) == ("cpython", "trusted: no sandbox")
    with pytest.raises(ConfigError, match="exclude each other"):
        choose(PLAIN, "monty", trusted=True)
    with pytest.raises(ConfigError, match=r"^tools\.engine=jython is not accepted: auto, monty, cpython$"):
        choose(PLAIN, "jython")
