"""The share of each module that its own test reaches: `tests/unit/a/test_b.py` for `mentor/a/b.py`.

    python scripts/mirrored_tests.py

Runs tests/unit once under coverage and notes which test file ran each line. Prints for every module the share of its
statements that its mirrored test runs by itself; statements outside of functions run at import and count as reached.
Ends with 1 when a module with a mirrored test is below 60 %, or when a test failed. What runs in processes that tests
start is not measured: EXEMPT lists the modules that run only there.
"""

from __future__ import annotations

import argparse
import ast
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
LEAST = 0.6
DATA = "MENTOR_MIRRORED_DATA"  # environment variable: where the processes of pytest put what they measured

EXEMPT: dict[str, str] = {}
"""Modules that no test can run in its own process, by their path below mentor/, with the reason."""


def modules() -> list[Path]:
    """The modules of `mentor`, without the packages' own files."""
    return [path for path in sorted((ROOT / "mentor").rglob("*.py")) if path.name not in ("__init__.py", "__main__.py")]


def mirrored_test(module: Path) -> Path:
    """Where the test of a module is, whether or not there is one."""
    relative = module.relative_to(ROOT / "mentor")
    return ROOT / "tests" / "unit" / relative.parent / f"test_{relative.name}"


def in_functions(source: str) -> set[int]:
    """The lines inside the functions of a module, without the lines that define them."""
    nodes = ast.walk(ast.parse(source))
    functions = [node for node in nodes if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)]
    return {line for node in functions for line in range(node.body[0].lineno, (node.end_lineno or 0) + 1)}


def share_reached(module: Path, ran: set[int]) -> float:
    """The share of a module's statements that run at import or are among the lines that `ran`; 1.0 without any."""
    from coverage.parser import PythonParser

    parser = PythonParser(filename=str(module))
    parser.parse_source()
    inside = in_functions(module.read_text())
    reached = parser.translate_lines(ran) | {line for line in parser.statements if line not in inside}
    return len(reached & parser.statements) / len(parser.statements) if parser.statements else 1.0


class LinesByTestFile:
    """The plugin of pytest that measures, in every process that runs tests."""

    def __init__(self, folder: str) -> None:
        from coverage import Coverage

        self.coverage = Coverage(
            data_file=f"{folder}/lines", data_suffix=True, source=[str(ROOT / "mentor")], config_file=False
        )
        self.coverage.start()

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_protocol(self, item: pytest.Item) -> Iterator[None]:
        self.coverage.switch_context(item.nodeid.partition("::")[0])
        try:
            return (yield)
        finally:
            self.coverage.switch_context("")

    def pytest_sessionfinish(self) -> None:
        self.coverage.stop()
        self.coverage.save()


def pytest_configure(config: pytest.Config) -> None:
    """Measure where tests run: in the workers of pytest-xdist, not in the process that hands them out."""
    if DATA in os.environ and (hasattr(config, "workerinput") or not config.getoption("numprocesses", None)):
        config.pluginmanager.register(LinesByTestFile(os.environ[DATA]))


def run_tests(paths: list[str]) -> tuple[dict[Path, set[int]], bool]:
    """The lines of every module that its mirrored test ran, and whether all tests passed."""
    from coverage import CoverageData

    with tempfile.TemporaryDirectory(prefix="mentor-mirrored-") as folder:
        command = [sys.executable, "-m", "pytest", "-q", "-p", "scripts.mirrored_tests", "-n", "2"]
        command += ["--dist", "loadfile"]
        environment = {**os.environ, DATA: folder, "COVERAGE_CORE": "ctrace", "OMP_NUM_THREADS": "1"}
        code = subprocess.run([*command, *paths], cwd=ROOT, env=environment).returncode
        ran: dict[Path, set[int]] = {}
        for path in Path(folder).glob("lines.*"):
            data = CoverageData(str(path))
            data.read()
            for file in data.measured_files():
                test = mirrored_test(Path(file)).relative_to(ROOT).as_posix()
                lines = data.contexts_by_lineno(file).items()
                ran.setdefault(Path(file), set()).update(line for line, tests in lines if test in tests)
    return ran, code == 0


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("tests", nargs="*", default=["tests/unit"], help="what pytest runs (default: tests/unit)")
    paths = parser.parse_args(argv).tests
    ran, passed = run_tests(paths)
    mirrored = [module for module in modules() if mirrored_test(module).is_file()]
    asked = [module for module in mirrored if any(mirrored_test(module).is_relative_to(ROOT / path) for path in paths)]
    shares = {name(module): share_reached(module, ran.get(module, set())) for module in asked}
    low = [module for module, share in shares.items() if share < LEAST and module not in EXEMPT]
    for module, share in sorted(shares.items(), key=lambda entry: entry[1]):
        print(f"{share:7.1%}  {module}{f'  (exempt: {EXEMPT[module]})' if module in EXEMPT else ''}")
    print(
        f"{len(mirrored)} of {len(modules())} modules have a mirrored test ({len(mirrored) / len(modules()):.0%}), ",
        end="",
    )
    print(
        f"{len(low)} of the {len(asked)} measured are below {LEAST:.0%}" + ("" if passed else "; not all tests passed")
    )
    return 1 if low or not passed else 0


def name(module: Path) -> str:
    return module.relative_to(ROOT / "mentor").as_posix()


if __name__ == "__main__":
    sys.exit(main())
