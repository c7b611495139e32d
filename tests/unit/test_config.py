"""Schemas: every key is read by some code, every value is checked, and a stored config comes back the same."""

import ast
import re
from dataclasses import fields
from pathlib import Path

import pytest

import mentor
from mentor import config as schemas
from mentor.compose import parse
from mentor.config import dump, load, schema_keys
from mentor.errors import ConfigError, RunFolderError
from mentor.runs.folder import refuse_other, write_config
from tests.fixtures.configs import eval_config, rl_config

PACKAGE = Path(mentor.__file__).parent


def test_stored_config_comes_back_frozen_and_without_unread_groups():
    for config in (rl_config(), eval_config()):
        again = load(dump(config))
        assert dump(again) == dump(config)
        assert again == config
        with pytest.raises(AttributeError, match="read-only"):
            again.seed = 1
    assert set(dump(rl_config())["task"]) == {"perturb"} and "benchmark" not in dump(rl_config())
    frozen = load(dump(eval_config()))
    with pytest.raises(AttributeError, match="read-only"):
        frozen.benchmark["gsm8k"].task.size = 3


def test_unknown_stored_key_is_named_with_its_place():
    values = dump(rl_config())
    values["reward"]["weights"]["tol"] = 1.0
    with pytest.raises(ConfigError, match=r"`reward\.weights\.tol` is not a key"):
        load(values)


@pytest.mark.parametrize(
    ("old", "new", "given", "said"),
    [
        ("reward.weights.tol", "reward.weights.tool", "reward.weights.tol", "`reward.weights.tool`"),
        ("reward.shares", "reward.weights", "reward.shares.tool", "`reward.weights.tool`"),
        ("task.fold", "task.split", "task.fold", "`task.split`"),
        ("task.fold", "task.split", "benchmark.mine.task.fold", "`benchmark.mine.task.split`"),
    ],
)
def test_renamed_key_names_the_new_one(monkeypatch, old, new, given, said):
    monkeypatch.setitem(schemas.RENAMED_KEYS, old, new)
    assert schemas.new_name("reward.weights.tolerant") is None
    with pytest.raises(ConfigError, match=re.escape(f"`{given}` has been renamed: use {said}")) as raised:
        parse(["seed=1", f"{given}=0.3"])
    assert "\n" not in str(raised.value)


def test_renamed_key_in_a_stored_config_names_the_new_one(monkeypatch, tmp_path):
    monkeypatch.setitem(schemas.RENAMED_KEYS, "reward.weights.tol", "reward.weights.tool")
    values = dump(rl_config())
    values["reward"]["weights"]["tol"] = values["reward"]["weights"].pop("tool")
    with pytest.raises(ConfigError, match=r"`reward\.weights\.tol` has been renamed: use `reward\.weights\.tool`"):
        load(values)
    write_config(tmp_path, values)
    with pytest.raises(RunFolderError, match=r"in which `reward\.weights\.tool` was `reward\.weights\.tol`"):
        refuse_other(tmp_path, dump(rl_config()))


def test_renamed_keys_are_no_keys_and_lead_to_keys():
    """A key that exists cannot be an old name, and what it leads to exists."""
    schemas_of = {name: [schema] for name, schema in schemas.SECTIONS.items()}
    schemas_of |= {
        "stage": [*schemas.STAGES.values()],
        "trainer": [*schemas.TRAINERS.values()],
        "teacher": [*schemas.TEACHERS.values()],
    }
    keys = {f"{group}.{key}" for group, kinds in schemas_of.items() for kind in kinds for key in schema_keys(kind)}
    sections = {key.rpartition(".")[0] for key in keys}
    for old, new in schemas.RENAMED_KEYS.items():
        assert old not in keys | sections
        assert new in keys | sections


def test_every_config_field_is_read_somewhere():
    """A key counts as read when code outside the schema loads an attribute of its name, or hands the section by `**` to
    a function that has a parameter of its name or looks it up in its own `**settings`."""
    trees = [
        ast.parse(path.read_text()) for path in PACKAGE.rglob("*.py") if path.name not in ("config.py", "checks.py")
    ]
    nodes = [node for tree in trees for node in ast.walk(tree)]
    read = {node.attr for node in nodes if isinstance(node, ast.Attribute) and isinstance(node.ctx, ast.Load)}
    handed_to = {
        node.func.id if isinstance(node.func, ast.Name) else node.func.attr
        for node in nodes
        if isinstance(node, ast.Call)
        and isinstance(node.func, ast.Name | ast.Attribute)
        and any(keyword.arg is None for keyword in node.keywords)
    }
    read |= {name for node in nodes for name in _parameters(node, handed_to)}
    texts = {node.value for node in nodes if isinstance(node, ast.Constant)}
    unread = []
    for section in vars(schemas).values():
        if isinstance(section, type) and issubclass(section, schemas.Section) and section is not schemas.Section:
            # The reward's inner sections reach it as dicts: their keys are looked up by text.
            found = read | texts if section in (schemas.RewardWeights, schemas.RewardFloors) else read
            unread += [f"{section.__name__}.{field.name}" for field in fields(section) if field.name not in found]
    assert not unread


def _parameters(node: ast.AST, functions: set[str]) -> set[str]:
    """The parameter names of a function in `functions`, or of the constructor of a class in it."""
    if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and node.name in functions:
        named = {argument.arg for argument in (*node.args.args, *node.args.kwonlyargs)}
        return named | (_looked_up(node) if node.args.kwarg else set())
    if isinstance(node, ast.ClassDef) and node.name in functions:
        own = {entry.target.id for entry in node.body if isinstance(entry, ast.AnnAssign)}
        inits = [entry for entry in node.body if isinstance(entry, ast.FunctionDef) and entry.name == "__init__"]
        return own | {argument.arg for init in inits for argument in (*init.args.args, *init.args.kwonlyargs)}
    return set()


def _looked_up(function: ast.AST) -> set[str]:
    """The constant keys of the subscripts in a function."""
    return {
        entry.slice.value
        for entry in ast.walk(function)
        if isinstance(entry, ast.Subscript) and isinstance(entry.slice, ast.Constant)
    }
