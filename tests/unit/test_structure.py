"""The structure of the code: imports point one way, a name is used once, and tests mirror modules."""

from __future__ import annotations

import ast
from collections import defaultdict
from collections.abc import Iterator
from functools import cache
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

from scripts import mirrored_tests

ROOT = Path(__file__).parents[2]
FOLDERS = ("mentor", "hydra_plugins", "scripts")

LAYERS = """
    errors types conf_dir progress closing
    files lock reward_keys
    config jsonl algorithm calls chat timer
    loggers rows readers
    tools policy key_help endpoints
    rewards sampling traces trajectories
    checks environment tasks
    compose evaluation teachers serving
    runs linting planning rl
    sweeps
    reporting cards
    stages
    child command use
    cli
"""
"""The folders and top-level modules of `mentor`, the lowest layer first. A module imports from its own folder and from
lower layers only; two of one layer do not know each other."""

LAYER = {room: number for number, line in enumerate(LAYERS.strip().splitlines()) for room in line.split()}

SAME_NAME = {
    "calculator": "tasks/ makes the questions, tools/builtin/ runs the tools",
    "evaluations": "runs/ lists those to make, reporting/read/ reads those that were made",
    "results": "evaluation/ computes them, reporting/tables/ shows them",
    "stages": "reporting/: one subject in read/, tables/",
    "sweeps": "reporting/: one subject in read/, tables/, figures/",
    "tool_use": "evaluation/ computes it, reporting/tables/ shows it",
}
"""Modules of one basename that their folders tell apart, with what each does."""

MIRRORED = 0.9  # of the modules have a test at the mirrored path


@cache
def modules(folder: str = "mentor") -> dict[str, Path]:
    """Every module below a folder of the repository by its dotted name."""
    paths = sorted((ROOT / folder).rglob("*.py"))
    return {".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__"): path for path in paths}


def imports(path: Path) -> Iterator[str]:
    """The modules of `mentor` that a file imports anywhere in it, also inside functions and under TYPE_CHECKING."""
    for node in ast.walk(ast.parse(path.read_text())):
        names = []
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path} has a relative import"
            names = [f"{node.module}.{alias.name}" for alias in node.names]
        for name in names:
            found = name if name in modules() else name.rpartition(".")[0]
            if found in modules():
                yield found


@cache
def graph() -> dict[str, set[str]]:
    return {name: set(imports(path)) - {name} for name, path in modules().items()}


def room(module: str) -> str:
    """The folder or top-level module of `mentor` that a module belongs to; empty for `mentor` itself."""
    return ".".join(module.split(".")[1:2])


def test_no_files_import_each_other():
    try:
        TopologicalSorter(graph()).prepare()
    except CycleError as error:
        pytest.fail(" -> ".join(error.args[1]))


def test_every_folder_has_a_layer():
    assert {room(name) for name in modules()} - {""} == set(LAYER)


def test_imports_point_to_lower_layers():
    upward = [
        f"{module} imports {imported}"
        for module, found in graph().items()
        for imported in sorted(found)
        if room(module) and room(imported) not in ("", room(module)) and LAYER[room(imported)] >= LAYER[room(module)]
    ]
    assert not upward, "\n".join(upward)


def test_a_public_class_name_is_used_once():
    places = defaultdict(list)
    for folder in FOLDERS:
        for module, path in modules(folder).items():
            for node in ast.walk(ast.parse(path.read_text())):
                if isinstance(node, ast.ClassDef) and not node.name.startswith("_"):
                    places[node.name].append(module)
    assert not {name: found for name, found in places.items() if len(found) > 1}


def test_a_module_name_is_used_once_except_where_the_folder_tells_them_apart():
    places = defaultdict(list)
    for path in mirrored_tests.modules():
        places[path.stem].append(path)
    assert {name for name, found in places.items() if len(found) > 1} == set(SAME_NAME)


def test_most_modules_have_a_test_at_the_mirrored_path():
    all_modules = mirrored_tests.modules()
    missing = [mirrored_tests.name(path) for path in all_modules if not mirrored_tests.mirrored_test(path).is_file()]
    share = 1 - len(missing) / len(all_modules)
    assert share >= MIRRORED, f"{share:.0%} have one; without: {', '.join(missing)}"
