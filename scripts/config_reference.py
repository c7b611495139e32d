#!/usr/bin/env python3
"""Writes docs/configuration.md from the schemas in mentor/config.py and the presets in conf/.

Every key with its type, default, accepted values and meaning, which is the comment at the end of its field's line; a
field without one is an error. The default is what the key is with the group's default preset.

    python scripts/config_reference.py            # write docs/configuration.md
    python scripts/config_reference.py --check    # exit code 1 where it is not up to date
"""

from __future__ import annotations

import ast
import inspect
import io
import re
import sys
import textwrap
import tokenize
import types
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import MISSING, Field, dataclass, fields
from pathlib import Path
from typing import Any, Union, get_args, get_origin, get_type_hints

import yaml  # type: ignore[import-untyped]

from mentor.conf_dir import conf_dir
from mentor.config import (
    SECTIONS,
    STAGE_GROUPS,
    STAGES,
    TEACHERS,
    TOP_LEVEL_READERS,
    TRAINERS,
    Config,
    Section,
)

OUTPUT = Path(__file__).parents[1] / "docs" / "configuration.md"
GROUP_ORDER = (
    "task",
    "teacher",
    "tools",
    "model",
    "sampler",
    "reward",
    "trainer",
    "benchmark",
    "logger",
    "launcher",
    "paths",
)
OVERLAYS = {
    "experiment": "Whole commands: they choose presets of several groups and set keys. `experiment=<preset>`.",
    "debug": "`debug=default` makes any stage small, in a run of its own. What it adds for one stage is in "
    "`conf/debug/stage/`.",
}
TRAINER_GROUPS = {
    "algorithm": "Methods of policy optimisation, as values of `trainer` in stage=rl: `trainer/algorithm=<preset>`.",
    "deepspeed": "How training is spread over processes: `trainer/deepspeed=<preset>`.",
    "paper": "What the paper's experiments take for a stage's trainer.",
    "hardware": "What the paper's experiments add to it; chosen by the experiment's name.",
}
COMMAND = re.compile(r"mentor(?: [\w.]+=\S+)+")
WORDS = {str: "text", int: "whole number", float: "number", bool: "true or false", Any: "any value"}
PLURALS = {str: "texts", bool: "true or false", list[str]: "lists of texts"}

HEADER = """\
# Configuration

Made by `make docs` (`scripts/config_reference.py`) from `mentor/config.py` and `conf/`. Do not edit it by hand.

A key is given on the command line as `<group>.<key>=<value>`, a preset as `<group>=<preset>`. `--cfg job` at the end of
a command shows what it composes to and runs nothing. An unknown key, a wrong type, a value that is not accepted, or a
key of a group that the stage does not read ends the command with exit code 2 and one line.

The default in a table is the value with the group's default preset. "required" means that there is no default.
"""


class SchemaError(Exception):
    """A schema that cannot be described."""


@dataclass(frozen=True)
class Row:
    """One key: `default` and `accepted` as the table shows them."""

    key: str
    type: str
    default: str
    accepted: str
    meaning: str


def main(arguments: Sequence[str]) -> int:
    """0 when written or up to date, 1 with one line on stderr otherwise, 2 for an argument that is not known."""
    if list(arguments) not in ([], ["--check"]):
        sys.stderr.write(f"config_reference: {' '.join(arguments)} is not accepted; accepted: --check or nothing\n")
        return 2
    try:
        text = reference()
    except SchemaError as error:
        sys.stderr.write(f"config_reference: {error}\n")
        return 1
    if not arguments:
        OUTPUT.parent.mkdir(exist_ok=True)
        OUTPUT.write_text(text, encoding="utf-8")
    elif not OUTPUT.is_file() or OUTPUT.read_text(encoding="utf-8") != text:
        sys.stderr.write(f"config_reference: {OUTPUT.name} is not up to date: run python scripts/config_reference.py\n")
        return 1
    return 0


def reference() -> str:
    """The whole page."""
    meanings = comments(Config)
    defaults = default_presets()
    parts = [HEADER, *_top_level(meanings), *_stages()]
    for group in GROUP_ORDER:
        parts += [f"## {group}\n", f"{_sentence(meanings[group])} {_readers(group)}\n"]
        by_group = {"trainer": _trainers, "teacher": _teachers}
        parts += by_group[group]() if group in by_group else [_table(_group_rows(group, defaults[group]))]
        parts.append(_presets(group, defaults.get(group)))
        parts += _trainer_groups() if group == "trainer" else []
    for group, meaning in OVERLAYS.items():
        parts += [f"## {group}\n", f"{meaning}\n", _presets(group, None)]
    return "\n".join(parts)


# --- sections of the page --------------------------------------------------------------------------------------------


def _top_level(meanings: Mapping[str, str]) -> list[str]:
    plain = [entry for entry in fields(Config) if entry.name not in ("stage", "trainer", *SECTIONS)]
    hints = get_type_hints(Config)
    rows = [_row(entry.name, entry, hints[entry.name], meanings[entry.name], {}) for entry in plain]
    readers = [f"`{key}` is read by {_names(stages)}." for key, stages in TOP_LEVEL_READERS.items()]
    return ["## Top level\n", f"{' '.join(readers)} The others are read by every stage.\n", _table(rows)]


def _stages() -> list[str]:
    parts = ["## stage\n", "`stage=<stage>` is the one choice without a default.\n"]
    for stage, schema in STAGES.items():
        groups = STAGE_GROUPS[stage]
        reads = f"Reads {_names([f'`{group}`' for group in groups])}." if groups else "Reads no other group."
        if stage == "pipeline":
            reads = (
                "Takes the keys of every group and hands each to the steps that read it and do not set it themselves."
            )
        preset = preset_values("stage", stage)
        parts += [f"### stage={stage}\n", f"{_docstring(schema)} {reads}\n"]
        parts.append(_table([row for row in section_rows(schema, "stage.", preset) if row.key != "stage.name"]))
    name = comments(next(iter(STAGES.values())))["name"]
    parts.append(f"`stage.name`: {_prose(name)}.\n")
    return parts


def _trainers() -> list[str]:
    parts = []
    for stage, schema in TRAINERS.items():
        if stage in ("pipeline", "check"):
            continue
        parts += [f"### trainer={stage}\n", f"Taken by stage={stage}.\n"]
        parts.append(_table(list(section_rows(schema, "trainer.", preset_values("trainer", stage)))))
    parts.append(
        "A pipeline takes all of these keys and hands each to the training steps that have it. stage=check takes those "
        "of stage=rl.\n"
    )
    return parts


def _teachers() -> list[str]:
    parts = []
    for teacher, schema in TEACHERS.items():
        preset = preset_values("teacher", teacher)
        rows = [row for row in section_rows(schema, "teacher.", preset) if row.key != "teacher.name"]
        parts += [f"### teacher={teacher}\n", f"{_docstring(schema)}\n", _table(rows)]
    return [*parts, f"`teacher.name`: {_prose(comments(next(iter(TEACHERS.values())))['name'])}.\n"]


def _trainer_groups() -> list[str]:
    parts = []
    for group, meaning in TRAINER_GROUPS.items():
        parts += [f"### trainer/{group}\n", f"{meaning}\n", _presets(f"trainer/{group}", None)]
    return parts


def _group_rows(group: str, preset: str) -> list[Row]:
    values = preset_values(group, preset)
    prefix = f"{group}.<name>." if group == "benchmark" else f"{group}."
    return list(section_rows(SECTIONS[group], prefix, values))


def _readers(group: str) -> str:
    stages = [stage for stage, groups in STAGE_GROUPS.items() if group in groups]
    return f"Read by {_names([f'stage={stage}' for stage in stages])}." if stages else "Read by every stage."


def _presets(group: str, default: str | None) -> str:
    lines = ["| preset | what it is | sets |", "|---|---|---|"]
    for path in sorted((conf_dir() / group).glob("*.yaml")):
        values = inherited(path) | chosen_presets(path) | flatten(preset_values(group, path.stem))
        values.pop("name", None)
        sets = ", ".join(f"`{key}={_yaml(value)}`" for key, value in values.items())
        mark = " (default)" if path.stem == default else ""
        lines.append(f"| `{path.stem}`{mark} | {_cell(leading_comment(path))} | {_cell(sets)} |")
    return "\n".join(lines) + "\n"


# --- rows from schemas -----------------------------------------------------------------------------------------------


def section_rows(schema: type[Section], prefix: str, values: Mapping[str, Any]) -> Iterator[Row]:
    """The rows of a schema and of the sections inside it; `values` are what the default preset sets.

    Raises SchemaError for a field without a comment.
    """
    meanings, hints = comments(schema), get_type_hints(schema)
    for entry in fields(schema):
        hint = hints[entry.name]
        if isinstance(hint, type) and issubclass(hint, Section):
            yield from section_rows(hint, f"{prefix}{entry.name}.", values.get(entry.name, {}))
        else:
            yield _row(prefix + entry.name, entry, hint, meanings[entry.name], values)


def comments(schema: type[Section]) -> dict[str, str]:
    """The comment at the end of each field's line, of the class and of the schemas it is made from.

    Raises SchemaError naming a field that has none.
    """
    found: dict[str, str] = {}
    for kind in reversed(schema.__mro__):
        if kind is not Section and issubclass(kind, Section):
            found |= _comments_of_class(kind)
    for entry in fields(schema):
        if not found.get(entry.name):
            raise SchemaError(f"{schema.__name__}.{entry.name} has no comment at the end of its line")
    return found


def _comments_of_class(kind: type) -> dict[str, str]:
    source = textwrap.dedent(inspect.getsource(kind))
    tokens = tokenize.generate_tokens(io.StringIO(source).readline)
    by_line = {token.start[0]: token.string.lstrip("# ") for token in tokens if token.type == tokenize.COMMENT}
    (tree,) = ast.parse(source).body
    assert isinstance(tree, ast.ClassDef)
    return {
        node.target.id: by_line.get(node.end_lineno or 0, "")
        for node in tree.body
        if isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name)
    }


def _row(key: str, entry: Field[Any], hint: Any, meaning: str, values: Mapping[str, Any]) -> Row:
    default = values.get(entry.name, _schema_default(entry))
    shown = "required" if default == "???" else f"`{_yaml(default)}`"
    return Row(key, type_name(hint), shown, accepted(entry, hint), meaning)


def _schema_default(entry: Field[Any]) -> Any:
    if entry.default_factory is not MISSING:
        return entry.default_factory()
    return "???" if entry.default is MISSING else entry.default


def type_name(hint: Any) -> str:
    """A type in words: `whole number or null`, `list of texts`."""
    origin, inner = get_origin(hint), get_args(hint)
    if origin in (types.UnionType, Union):
        return " or ".join("null" if member is type(None) else type_name(member) for member in inner)
    if origin is list:
        return f"list of {PLURALS[inner[0]]}"
    if origin is dict:
        return f"map of {type_name(inner[0])} to {type_name(inner[1])}"
    return WORDS[hint]


def accepted(entry: Field[Any], hint: Any) -> str:
    """The words or the range that the field's metadata accepts; a dash where the type alone decides."""
    choices, low, high = (entry.metadata.get(key) for key in ("choices", "low", "high"))
    if choices:
        return ", ".join(f"`{word}`" for word in choices)
    if low is None and high is None:
        return "–"
    span = f"{_yaml(low)} or more" if high is None else f"{_yaml(low)} to {_yaml(high)}"
    return f"{span}, or null" if type(None) in get_args(hint) else span


# --- presets ---------------------------------------------------------------------------------------------------------


def default_presets() -> dict[str, str]:
    """The default preset of each group, from the defaults list of conf/config.yaml."""
    listed = yaml.safe_load((conf_dir() / "config.yaml").read_text(encoding="utf-8"))["defaults"]
    chosen = {key: value for entry in listed if isinstance(entry, dict) for key, value in entry.items()}
    found = {group: chosen[group] for group in SECTIONS}
    return {group: preset[0] if isinstance(preset, list) else preset for group, preset in found.items()}


def preset_values(group: str, preset: str) -> dict[str, Any]:
    """What a preset file sets in its group, without Hydra's own entries."""
    path = conf_dir() / group / f"{preset}.yaml"
    values = yaml.safe_load(path.read_text(encoding="utf-8")) or {}
    values.pop("defaults", None)
    packaged = values.get(group) if list(values) == [group] else None  # a file of the package _global_
    return packaged if isinstance(packaged, dict) else values


def chosen_presets(path: Path) -> dict[str, str]:
    """The groups whose preset a file chooses, as an experiment does."""
    listed = (yaml.safe_load(path.read_text(encoding="utf-8")) or {}).get("defaults", [])
    chosen = {key: value for entry in listed if isinstance(entry, dict) for key, value in entry.items()}
    start = "override /"
    return {
        key.removeprefix(start): value for key, value in chosen.items() if key.startswith(start) and "hydra" not in key
    }


def inherited(path: Path) -> dict[str, Any]:
    """What a preset takes from other files of its group, which its defaults list names: `paper/method`."""
    values: dict[str, Any] = {}
    for entry in (yaml.safe_load(path.read_text(encoding="utf-8")) or {}).get("defaults", []):
        name = f"{entry.partition('@')[0]}.yaml" if isinstance(entry, str) else path.name
        other = next((folder / name for folder in (path.parent, path.parent.parent) if (folder / name).is_file()), path)
        if other != path:
            own = yaml.safe_load(other.read_text(encoding="utf-8")) or {}
            own.pop("defaults", None)
            values |= inherited(other) | chosen_presets(other) | flatten(own)
    return values


def leading_comment(path: Path) -> str:
    """The comment lines at the top of a preset file, commands as code."""
    lines = []
    for line in path.read_text(encoding="utf-8").splitlines():
        if not line.startswith("#"):
            break
        text = line.lstrip("# ")
        if not text.startswith("@package"):
            lines.append(COMMAND.sub(r"`\g<0>`", text))
    return "; ".join(lines)


def flatten(values: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """Nested values by dotted key."""
    flat: dict[str, Any] = {}
    for key, value in values.items():
        flat |= flatten(value, f"{prefix}{key}.") if isinstance(value, dict) else {prefix + key: value}
    return flat


# --- Markdown --------------------------------------------------------------------------------------------------------


def _table(rows: Sequence[Row]) -> str:
    if not rows:
        return "No keys of its own.\n"
    lines = ["| key | type | default | accepted | meaning |", "|---|---|---|---|---|"]
    for row in rows:
        cells = (f"`{row.key}`", row.type, row.default, row.accepted, row.meaning)
        lines.append(f"| {' | '.join(map(_cell, cells))} |")
    return "\n".join(lines) + "\n"


def _cell(text: str) -> str:
    return _prose(text).replace("|", "\\|")


def _prose(text: str) -> str:
    """Text in which `<run>` outside of code is no HTML tag."""
    return re.sub(r"(`[^`]*`)|<", lambda match: match[1] or "&lt;", text)


def _yaml(value: Any) -> str:
    """A value as it is written on the command line."""
    if isinstance(value, str):
        return value.replace("\n", "\\n")
    if isinstance(value, list):
        return f"[{', '.join(map(_yaml, value))}]"
    if isinstance(value, dict):
        return f"{{{', '.join(f'{key}: {_yaml(inner)}' for key, inner in value.items())}}}"
    if isinstance(value, bool) or value is None:
        return "null" if value is None else str(value).lower()
    return repr(value)


def _docstring(schema: type) -> str:
    return " ".join((inspect.getdoc(schema) or "").split("\n\n")[0].split())


def _sentence(text: str) -> str:
    return f"{_prose(text[:1].upper() + text[1:])}."


def _names(words: Sequence[str]) -> str:
    return words[0] if len(words) == 1 else f"{', '.join(words[:-1])} and {words[-1]}"


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
