"""CONTRIBUTING's vocabulary is the dictionary: its identifiers exist, and retired words name nothing."""

import ast
import re
from functools import cache
from pathlib import Path

import pytest

from mentor.config import STAGES, TEACHERS, TRAINERS, Config, schema_keys

ROOT = Path(__file__).parents[2]
PATHS = [path for path in sorted((ROOT / "mentor").rglob("*.py")) if path.name != "old_names.py"]
METRIC = re.compile(r"[a-z]+/[a-z0-9_{}]+")
AREAS = {
    "reward",
    "groups",
    "advantage",
    "rollout",
    "policy",
    "tool_use",
    "time",
    "throughput",
    "loss",
    "tokens",
    "alarm",
}


@cache
def trees() -> dict[Path, ast.Module]:
    return {path: ast.parse(path.read_text(encoding="utf-8")) for path in PATHS}


def table() -> list[list[str]]:
    """The rows of the vocabulary, below its head."""
    section = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8").split("## Vocabulary")[1].split("\n## ")[0]
    rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in section.splitlines() if line[:1] == "|"]
    return rows[2:]


RETIRED = [word.strip() for row in table() for word in row[3].split(",") if word.strip()]


def names_of(tree: ast.Module) -> set[str]:
    """Every name that a module defines or gives to an attribute, parameter or key."""
    found = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
            found.add(node.name)
        elif isinstance(node, ast.Name):
            found.add(node.id)
        elif isinstance(node, ast.Attribute):
            found.add(node.attr)
        elif isinstance(node, ast.arg) or isinstance(node, ast.keyword) and node.arg:
            found.add(node.arg)
        elif isinstance(node, ast.Constant) and isinstance(node.value, str):
            found.add(node.value)
    return found


@cache
def metric_names() -> set[str]:
    """Names of metrics in the code, f-strings with their holes as `{}`."""
    found = set()
    for tree in trees().values():
        for node in ast.walk(tree):
            text = ""
            if isinstance(node, ast.Constant) and isinstance(node.value, str):
                text = node.value
            elif isinstance(node, ast.JoinedStr):
                text = "".join(str(part.value) if isinstance(part, ast.Constant) else "{}" for part in node.values)
            if METRIC.fullmatch(text) and text.partition("/")[0] in AREAS:
                found.add(text)
    return found


@cache
def config_keys() -> set[str]:
    """Every key of every schema."""
    kinds = [Config, *STAGES.values(), *TRAINERS.values(), *TEACHERS.values()]
    return {part for kind in kinds for key in schema_keys(kind) for part in key.split(".")}


def words(name: str) -> set[str]:
    """`DeadGroups`, `dead_groups` and `groups/dead` as lower-case words."""
    return {word.lower() for word in re.findall(r"[A-Z]?[a-z0-9]+|[A-Z]+(?![a-z])", name)}


def test_there_is_something_to_check():
    assert len(RETIRED) > 8 and len(metric_names()) > 30 and len(config_keys()) > 100


def test_every_identifier_of_the_vocabulary_exists():
    known = set().union(*map(names_of, trees().values())) | {path.stem for path in trees()}
    missing = []
    for row in table():
        for code in re.findall(r"`([^`]+)`", row[2]):
            name = re.split(r"[=(/.<]", code)[0 if not code.startswith("trainer/") else 1]
            if re.fullmatch(r"\w+", name) and name not in known and not METRIC.match(code):
                missing.append(code)
    assert not missing


@cache
def class_names(path: Path) -> set[str]:
    return {node.name for node in ast.walk(trees()[path]) if isinstance(node, ast.ClassDef)}


@pytest.mark.parametrize("word", RETIRED)
def test_a_retired_word_names_no_key_metric_module_or_class(word):
    paths = [path for path in trees() if word != "method" or "reporting" not in path.parts]  # the report's word
    classes = [name for path in paths for name in class_names(path)]
    named = [*config_keys(), *metric_names(), *(path.stem for path in paths), *classes]
    assert [name for name in named if words(name) & {word, f"{word}s"}] == []
