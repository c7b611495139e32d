"""Which lines of a module count as reached."""

from pathlib import Path

import pytest

from scripts import mirrored_tests

SOURCE = '''"""A module."""

LIMIT = 3


def double(n: int) -> int:
    """Twice."""
    if n > LIMIT:
        return 2 * LIMIT
    return 2 * n


class Box:
    size = (
        1
    )

    def area(self) -> int:
        return self.size
'''


def test_lines_outside_of_functions_run_at_import(tmp_path: Path):
    module = tmp_path / "module.py"
    module.write_text(SOURCE)
    assert mirrored_tests.in_functions(SOURCE) == {7, 8, 9, 10, 19}
    statements_at_import, in_functions = 5, 4  # LIMIT, def, class, size, def; if, return, return, return
    total = statements_at_import + in_functions
    assert mirrored_tests.share_reached(module, set()) == pytest.approx(5 / total)
    assert mirrored_tests.share_reached(module, {8, 10}) == pytest.approx(7 / total)
    assert mirrored_tests.share_reached(module, {8, 9, 10, 19}) == 1.0


def test_a_module_without_statements_is_reached(tmp_path: Path):
    (tmp_path / "empty.py").write_text("")
    assert mirrored_tests.share_reached(tmp_path / "empty.py", set()) == 1.0


def test_the_mirrored_path():
    module = mirrored_tests.ROOT / "mentor" / "runs" / "leave.py"
    assert module in mirrored_tests.modules()
    assert mirrored_tests.mirrored_test(module) == mirrored_tests.ROOT / "tests" / "unit" / "runs" / "test_leave.py"
