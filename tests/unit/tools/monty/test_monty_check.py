"""What monty cannot run is known when a source is loaded."""

import pytest

from mentor.errors import InputError
from mentor.tools.engine import Limits
from mentor.tools.monty.monty_check import check_runs
from mentor.tools.source import Source


def check(source: str) -> None:
    check_runs(Source("tools", source, (), origin="tools.py"), Limits())


def test_a_source_that_runs():
    check("import math\ndef f(x):\n    return math.sqrt(x)\n")


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ("class A(int):\n    pass\n", r"^tools\.py:1: the sandbox cannot run `class A\(int\):`: "),
        ("x = 1\nimport numpy\n", r"^tools\.py:2: the sandbox cannot run `import numpy`: "),
        ("def f():\n    import socket\n", r"^tools\.py:2: the sandbox cannot run `import socket`: "),
        (
            "def f():\n    return absent\n",
            r"^tools\.py:2: the sandbox cannot run `absent`: NameError: name 'absent' is not",
        ),
        (
            "import re\ndef f(s):\n    return re.sub('a', lambda m: 'b', s)\n",
            r"^tools\.py:3: the sandbox cannot run `re\.sub.*`: no function as replacement text",
        ),
    ],
)
def test_what_it_cannot_run_is_named_with_its_line(source, message):
    with pytest.raises(InputError, match=message):
        check(source)
