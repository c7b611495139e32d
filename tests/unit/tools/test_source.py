"""What a tool source defines and needs, read from its syntax tree."""

import ast

import pytest

from mentor.errors import InputError
from mentor.tools.source import imported_modules, parse_source, probes

SOURCE = """
import math, os.path as p
from json import dumps
from . import sibling
N = 1

def f(a):
    import heapq
    try:
        import absent
    except ImportError:
        pass
    return math.sqrt(a) + N + missing

async def g(math):
    global later
    later = 1
    return later

def f(b):
    return dumps(b)
"""


def test_imports_in_order():
    assert imported_modules(parse_source(SOURCE, "tools.py")) == ("math", "os.path", "json", "heapq", "absent")


def test_what_a_tool_called_top_binds_is_no_global_name():
    text = "N = 1\ndef top(a):\n    b = a\n    return b + N\n"
    assert {construct for _, construct, _ in probes(text, ast.parse(text))} == {"N"}


def test_what_functions_look_up_when_called():
    """Not the guarded import, and not `math.sqrt`: a parameter elsewhere has the module's name."""
    found = {(line, construct) for line, construct, _ in probes(SOURCE, ast.parse(SOURCE))}
    assert (8, "import heapq") in found and (13, "missing") in found and (13, "N") in found
    assert not {"import absent", "math.sqrt", "later"} & {construct for _, construct in found}
    attribute = "import math\ndef f(): return math.tan(1)\n"
    assert (2, "math.tan", "math.tan") in set(probes(attribute, ast.parse(attribute)))


@pytest.mark.parametrize("text", ["def f(:", "\0"])
def test_text_that_is_not_python(text):
    with pytest.raises(InputError, match=r"^t\.py(:1)?: not Python: "):
        parse_source(text, "t.py")
