"""What the help and docs/configuration.md say of a key: type, default, accepted values, meaning, and what reads it.

The meaning is the comment at the end of the field's line in `mentor/config.py`; the default is that of a preset.
Imports neither Hydra nor torch.
"""

from __future__ import annotations

import ast
import inspect
import io
import textwrap
import tokenize
import types
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import MISSING, Field, dataclass, fields
from typing import Any, Union, get_args, get_origin, get_type_hints

import yaml  # type: ignore[import-untyped]

from mentor.conf_dir import conf_dir
from mentor.config import READS_ONLY, SECTIONS, STAGE_GROUPS, STAGES, TEACHERS, TRAINERS, Config, Section
from mentor.readers import GROUPS_READ_WHEN, condition_of

COMMON = ("logger", "launcher", "paths")  # groups that every stage reads
WIDTH = 112
KEY_WIDTH = 38

WORDS = {str: "text", int: "whole number", float: "number", bool: "true or false", Any: "any value"}
PLURALS = {str: "texts", float: "numbers", bool: "true or false", list[str]: "lists of texts"}


class SchemaError(Exception):
    """A schema that cannot be described."""


@dataclass(frozen=True)
class KeyRow:
    """One key: `default` and `accepted` as the table shows them."""

    key: str
    type: str
    default: str
    accepted: str
    meaning: str


def section_rows(schema: type[Section], prefix: str, values: Mapping[str, Any]) -> Iterator[KeyRow]:
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


def _row(key: str, entry: Field[Any], hint: Any, meaning: str, values: Mapping[str, Any]) -> KeyRow:
    default = values.get(entry.name, _schema_default(entry))
    shown = "required" if default == "???" else f"`{as_typed(default)}`"
    section, condition = condition_of(key) or ("", None)
    if condition is not None and entry.name != "name":
        meaning = f"{meaning}; read with {condition.words.format(section)}"
    kind = "whole number or word" if entry.metadata.get("word") else type_name(hint)
    return KeyRow(key, kind, shown, accepted(entry, hint), meaning)


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
    choices, low, high, word = (entry.metadata.get(key) for key in ("choices", "low", "high", "word"))
    if choices:
        return ", ".join(f"`{word}`" for word in choices)
    if low is None and high is None:
        return "–"
    span = f"{as_typed(low)} or more" if high is None else f"{as_typed(low)} to {as_typed(high)}"
    if word is not None:
        return f"{span}, or `{word}`"
    return f"{span}, or null" if type(None) in get_args(hint) else span


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


def as_typed(value: Any) -> str:
    """Write a value as the command line takes it."""
    if isinstance(value, str):
        return value.replace("\n", "\\n")
    if isinstance(value, list):
        return f"[{', '.join(map(as_typed, value))}]"
    if isinstance(value, dict):
        return f"{{{', '.join(f'{key}: {as_typed(inner)}' for key, inner in value.items())}}}"
    if isinstance(value, bool) or value is None:
        return "null" if value is None else str(value).lower()
    return repr(value)


# --- the help of a stage ---------------------------------------------------------------------------------------------


def stage_help(stage: str, chosen: Mapping[str, str]) -> str:
    """List the keys that a stage reads, with default and meaning. chosen: presets of groups, else their defaults."""
    defaults = default_presets()
    lines = [f"mentor stage={stage}", "", *_key_lines(stage, STAGES[stage], "stage.", preset_values("stage", stage))]
    for group in (*STAGE_GROUPS[stage], *COMMON):
        preset = chosen.get(group) or (stage if group == "trainer" else defaults[group])
        if not (conf_dir() / group / f"{preset}.yaml").is_file():
            preset = stage if group == "trainer" else defaults[group]
        schema = {**SECTIONS, "trainer": TRAINERS.get(stage, Section), "teacher": TEACHERS.get(preset, Section)}[group]
        presets = " ".join(sorted(path.stem for path in (conf_dir() / group).glob("*.yaml")))
        whole = GROUPS_READ_WHEN.get((stage, group))
        read = "" if whole is None else f"; read with {whole.words}"
        lines += ["", f"{group}={preset} (of {presets}){read}"]
        prefix = "benchmark.<name>." if group == "benchmark" else f"{group}."
        lines += _key_lines(stage, schema, prefix, preset_values(group, preset))
    lines += ["", "Top level", *_lines_of(top_level_rows())]
    return "\n".join(
        [*lines, "", "The defaults are those of the presets shown; `--cfg job` shows all that a command sets.", ""]
    )


def top_level_rows() -> Iterator[KeyRow]:
    """The keys that are in no group."""
    hints, meanings = get_type_hints(Config), comments(Config)
    for entry in fields(Config):
        if entry.name not in ("stage", "trainer", *SECTIONS):
            yield _row(entry.name, entry, hints[entry.name], meanings[entry.name], {})


def _key_lines(stage: str, schema: type[Section], prefix: str, values: Mapping[str, Any]) -> list[str]:
    """Of the keys that the stage may read: one that depends on the stage alone is left out of the others."""
    rows = []
    for row in section_rows(schema, prefix, values):
        _, condition = condition_of(row.key) or ("", None)
        elsewhere = (
            condition is not None and set(condition.keys) == {"stage.name"} and not condition.holds(lambda _: stage)
        )
        only = READS_ONLY.get((stage, prefix.removesuffix(".")))
        unread = only is not None and row.key.removeprefix(prefix).split(".")[0] not in only
        if row.key not in ("stage.name", "teacher.name") and not elsewhere and not unread:
            rows.append(row)
    return _lines_of(rows)


def _lines_of(rows: Iterable[KeyRow]) -> list[str]:
    lines = []
    for row in rows:
        given = f"  {row.key}={'' if row.default == 'required' else row.default.strip('`')}"
        accepted = "" if row.accepted == "–" else f" [{row.accepted.replace('`', '')}]"
        text = f"{row.meaning}{accepted}"
        start = f"{given:<{KEY_WIDTH}} " if len(given) < KEY_WIDTH else f"{given}\n{'':{KEY_WIDTH + 1}}"
        body = textwrap.wrap(text, WIDTH - KEY_WIDTH - 1)
        lines.append(start + f"\n{'':{KEY_WIDTH + 1}}".join(body))
    return lines
