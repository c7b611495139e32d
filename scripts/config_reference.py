#!/usr/bin/env python3
"""Write docs/configuration.md from the schemas in mentor/config.py and the presets in conf/.

Every key with its type, default, accepted values and meaning, which is the comment at the end of its field's line; a
field without one is an error. The default is what the key is with the group's default preset.

    python scripts/config_reference.py            # write docs/configuration.md
    python scripts/config_reference.py --check    # exit code 1 where it is not up to date
"""

from __future__ import annotations

import inspect
import re
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml  # type: ignore[import-untyped]

from mentor.conf_dir import conf_dir
from mentor.config import READS_ONLY, SECTIONS, STAGE_GROUPS, STAGES, TEACHERS, TOP_LEVEL_READERS, TRAINERS, Config
from mentor.key_help import (
    KeyRow,
    SchemaError,
    as_typed,
    comments,
    default_presets,
    preset_values,
    section_rows,
    top_level_rows,
)

OUTPUT = Path(__file__).parents[1] / "docs" / "configuration.md"
GROUP_ORDER = (
    "task",
    "teacher",
    "tools",
    "model",
    "sampler",
    "reward",
    "judge",
    "distill",
    "trainer",
    "benchmark",
    "logger",
    "launcher",
    "paths",
)
OVERLAYS = {
    "experiment": "Whole commands: they choose presets of several groups and set keys. `experiment=<preset>`.",
    "debug": "`debug=default` makes any stage small, in the run `debug`. What it adds for one stage is in "
    "`conf/debug/stage/`.",
}
TRAINER_GROUPS = {
    "algorithm": "RL algorithms, as values of `trainer` in stage=rl: `trainer/algorithm=<preset>`.",
    "deepspeed": "How training is partitioned over ranks: `trainer/deepspeed=<preset>`.",
    "paper": "Trainers of the experiments paper_*, one for each stage.",
    "hardware": "What the experiments paper_* add to it for their hardware; chosen by the experiment's name.",
}
COMMAND = re.compile(r"mentor(?: [\w.]+=\S+)+")

HEADER = """\
# Configuration

Made by `make docs` (`scripts/config_reference.py`) from `mentor/config.py` and `conf/`. Do not edit it by hand.

A key is given on the command line as `<group>.<key>=<value>`, a preset as `<group>=<preset>`. `--cfg job` at the end of
a command shows what it composes to and runs nothing. `mentor stage=rl --help` lists the keys of a stage.

The command ends with exit code 2 and one line for an unknown key, a wrong type, a value that is not accepted, and a key
that it does not read: one of a group that the stage does not read, or one that is "read with" a choice that no step and
no point of the command has.

The default in a table is the value with the group's default preset. "required" means that there is no default.
"""


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
    """Write the whole page."""
    meanings = comments(Config)
    defaults = default_presets()
    parts = [HEADER, *_top_level(), *_stages()]
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


def _top_level() -> list[str]:
    rows = list(top_level_rows())
    readers = [f"`{key}` is read by {_names(stages)}." for key, stages in TOP_LEVEL_READERS.items()]
    return ["## Top level\n", f"{' '.join(readers)} The others are read by every stage.\n", _table(rows)]


def _stages() -> list[str]:
    parts = ["## stage\n", "`stage=<stage>` is the one choice without a default.\n"]
    for stage, schema in STAGES.items():
        groups = STAGE_GROUPS[stage]
        named = [f"`{key}`" for group in groups for key in _keys_read(stage, group)]
        reads = f"Reads {_names(named)}." if groups else "Reads no other group."
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


def _keys_read(stage: str, group: str) -> list[str]:
    """The group, or the keys of it that the stage reads where it reads only those."""
    return [f"{group}.{key}" for key in READS_ONLY.get((stage, group), ())] or [group]


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


def _group_rows(group: str, preset: str) -> list[KeyRow]:
    values = preset_values(group, preset)
    prefix = f"{group}.<name>." if group == "benchmark" else f"{group}."
    return list(section_rows(SECTIONS[group], prefix, values))


def _readers(group: str) -> str:
    stages = [stage for stage, groups in STAGE_GROUPS.items() if group in groups]
    parts = [key for key in READS_ONLY if key[1] == group]
    named = [f"stage={stage}" for stage in stages if (stage, group) not in parts]
    some = [f"stage={stage} reads {_names([f'`{key}`' for key in _keys_read(stage, group)])}" for stage, _ in parts]
    said = f"Read by {_names(named)}." if stages else "Read by every stage."
    return f"{said} {_names(some)} alone." if some else said


def _presets(group: str, default: str | None) -> str:
    lines = ["| preset | what it is | sets |", "|---|---|---|"]
    for path in sorted((conf_dir() / group).glob("*.yaml")):
        values = inherited(path) | chosen_presets(path) | flatten(preset_values(group, path.stem))
        values.pop("name", None)
        sets = ", ".join(f"`{key}={as_typed(value)}`" for key, value in values.items())
        mark = " (default)" if path.stem == default else ""
        sets += "" if group in OVERLAYS else _set_in_stages(path)
        lines.append(f"| `{path.stem}`{mark} | {_cell(leading_comment(path))} | {_cell(sets)} |")
    return "\n".join(lines) + "\n"


def _set_in_stages(path: Path) -> str:
    """What a preset sets of other groups in some stages: `stage/<preset>_<stage>.yaml` beside it."""
    said = ""
    for stage in STAGES:
        added = path.parent / "stage" / f"{path.stem}_{stage}.yaml"
        if added.is_file():
            own = yaml.safe_load(added.read_text(encoding="utf-8"))
            own.pop("defaults", None)
            values = inherited(added) | flatten(own)
            said += f"in stage={stage} " + ", ".join(f"`{key}={as_typed(value)}`" for key, value in values.items())
    return said


# --- presets ---------------------------------------------------------------------------------------------------------


def chosen_presets(path: Path) -> dict[str, str]:
    """The groups whose preset a file chooses, as an experiment does."""
    listed = (yaml.safe_load(path.read_text(encoding="utf-8")) or {}).get("defaults", [])
    chosen = {key: value for entry in listed if isinstance(entry, dict) for key, value in entry.items()}
    start = "override /"
    return {
        key.removeprefix(start).split("@")[0]: value
        for key, value in chosen.items()
        if key.startswith(start) and "hydra" not in key
    }


def inherited(path: Path) -> dict[str, Any]:
    """What a preset takes from other files of its group, which its defaults list names: `paper/settings`."""
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


def _table(rows: Sequence[KeyRow]) -> str:
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


def _docstring(schema: type) -> str:
    return " ".join((inspect.getdoc(schema) or "").split("\n\n")[0].split())


def _sentence(text: str) -> str:
    return f"{_prose(text[:1].upper() + text[1:])}."


def _names(words: Sequence[str]) -> str:
    return words[0] if len(words) == 1 else f"{', '.join(words[:-1])} and {words[-1]}"


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
