"""Sources that a CPython worker cannot load: the line, the reason, and the setting that helps."""

import pytest

from mentor.errors import InputError
from mentor.tools import Toolset
from mentor.tools.cpython.cpython_check import check_loads, refusal, remedy
from mentor.tools.engine import Limits
from mentor.tools.source import Source

F = '\ndef f(a: int) -> int:\n    """F."""\n    return 1\n'
REMEDY = "; tools.trusted=true runs the file with your rights, without the sandbox"


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        ('DATA = open("data.txt").read()', "FileNotFoundError: [Errno 2] No such file or directory: 'data.txt'"),
        ("import helper", "ModuleNotFoundError: No module named 'helper'"),
        ("from package import x", "ModuleNotFoundError: No module named 'package'"),
    ],
)
def test_files_and_modules_beside_a_tools_file_need_trust(tmp_path, line, reason, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "data.txt").write_text("1")
    (tmp_path / "helper.py").write_text("N = 1\n")
    (tmp_path / "package").mkdir()
    (tmp_path / "package" / "__init__.py").write_text("x = 1\n")
    path = tmp_path / "tools.py"
    path.write_text(line + F)
    with pytest.raises(InputError) as refused:
        Toolset.from_python(path)
    assert str(refused.value) == f"{path}:1: the sandbox cannot run `{line}`: {reason}{REMEDY}"
    assert Toolset.from_python(path, trusted=True).note == "trusted: no sandbox"


@pytest.mark.parametrize(
    ("failure", "trusted", "helps"),
    [
        ("1:PermissionError: [Errno 13] Permission denied: '/root/x'", False, True),
        ("1:PermissionError: [Errno 13] Permission denied: '/root/x'", True, False),
        ("1:ModuleNotFoundError: No module named 'helper.deep'; 'helper' is not a package", False, True),
        ("1:ModuleNotFoundError: No module named 'numpyy'", False, False),
        ("1:ZeroDivisionError: division by zero", False, False),
    ],
)
def test_only_what_trust_mends_names_it(tmp_path, failure, trusted, helps):
    (tmp_path / "helper.py").touch()
    source = Source("tools", "", (), folder=tmp_path, trusted=trusted)
    assert remedy(failure, source) == (REMEDY if helps else "")
    assert remedy(failure, Source("row", "", ())) == ""


def test_what_functions_lack_is_found_before_a_call():
    text = "def f():\n    return absent\n"
    with pytest.raises(InputError, match=r"^row:2: the sandbox cannot run `absent`: NameError: name 'absent' is not"):
        check_loads(Source("row", text, ("f",), checked=False), Limits())


def test_a_line_past_the_end_is_the_last():
    assert refusal("9:E", "a\nb", "t.py", "a worker") == "t.py:2: a worker cannot run `b`: E"
    assert refusal("0:E", "a\nb", "t.py", "a worker") == "t.py: a worker cannot load it: E"
