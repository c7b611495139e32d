"""The built-in toolset python: an interpreter whose variables last for a session."""

from mentor.tools import build_toolset
from mentor.tools.builtin import interpreter
from mentor.types import CallError
from tests.unit.tools.host.builders import call_all


def test_python_keeps_the_variables_of_a_session():
    results = call_all(
        build_toolset("python"),
        ("python", {"code": "import statistics\nx = [1, 2, 6]\nprint('mean')\nstatistics.mean(x)"}, "1"),
        ("python", {"code": "sum(x)"}, "1"),
        ("python", {"code": "x"}, "2"),
        ("python", {"code": "1 +"}, "1"),
        ("python", {"code": "y = 3"}, "1"),
        timeout_s=10,
        memory_mib=256,
    )
    assert [result.text for result in results[:2]] == ["mean\n3", "9"]
    assert results[2].error is CallError.EXCEPTION and "NameError" in results[2].text
    assert results[3].error is CallError.EXCEPTION and "SyntaxError" in results[3].text
    assert results[4].text == '""'


def test_what_is_printed_comes_before_the_value_of_the_last_expression(monkeypatch):
    monkeypatch.setattr(interpreter, "_variables", {})
    assert interpreter.python("print('a')\nx = 2\nx + 1") == "a\n3"
    assert interpreter.python("x") == "2" and interpreter.python("x = 'é'") == "" and interpreter.python("x") == "'é'"
