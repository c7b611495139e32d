"""The pages of docs/ and the README do not rot: links lead somewhere, and every command shown composes.

Nothing runs. Files that a command names are the reader's, so those that a check looks for are made here, empty.
"""

from __future__ import annotations

import os
import re
import shlex
from collections.abc import Iterator
from pathlib import Path

import pytest
from hydra import compose, initialize_config_dir
from hydra.core.override_parser.types import IntervalSweep, Override

from mentor.command import _split_arguments
from mentor.compose import compose_stage, parse, register_schemas, to_config
from mentor.conf_dir import conf_dir
from mentor.config import dump
from mentor.readers import refuse
from mentor.runs.folder import write_config
from mentor.runs.run_teacher import talks_to_teacher, with_run_teacher

REPOSITORY = conf_dir().parent
PAGES = [REPOSITORY / "README.md", *sorted((REPOSITORY / "docs").glob("*.md"))]
BRINGS_FILE = (
    "tools.path",
    "stage.input",
    "stage.decontaminate",
    "model.chat_template",
)  # keys whose file is looked for while composing

LINK = re.compile(r"!?\[[^\]]*\]\(([^)\s]+)\)")
FENCED = re.compile(r"^```\w*\n(.*?)^```", re.MULTILINE | re.DOTALL)
INLINE = re.compile(r"`(mentor (?:-m )?\w+=[^`]*)`")


def code_lines(page: Path) -> list[str]:
    """The lines of fenced blocks, those that go on after a backslash joined."""
    blocks = FENCED.findall(page.read_text(encoding="utf-8"))
    return [line.strip() for block in blocks for line in block.replace("\\\n", " ").splitlines()]


def commands(page: Path) -> list[str]:
    """Every `mentor ...` command with arguments, in fenced blocks and in the text; without comments and `run=`, which
    only names a folder.
    """
    fenced = [line for line in code_lines(page) if line.startswith("mentor ")]
    text = FENCED.sub("", page.read_text(encoding="utf-8"))
    found = [*fenced, *(match.replace("\\|", "|") for match in INLINE.findall(text))]
    words = [[word for word in shlex.split(line, comments=True) if not word.startswith("run=")] for line in found]
    return [shlex.join(line) for line in words if line[1:]]


ALL_COMMANDS = list(dict.fromkeys(command for page in PAGES for command in commands(page)))


@pytest.fixture
def hydra_conf(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Composing as the command does, in an empty working folder."""
    monkeypatch.chdir(tmp_path)
    rewards = (REPOSITORY / "docs" / "rewards.md").read_text(encoding="utf-8")
    Path("my_rewards.py").write_text(rewards.split("```python\n")[1].split("```")[0])
    Path("tone.md").write_text("A rubric")
    register_schemas()
    with initialize_config_dir(str(conf_dir()), version_base="1.3"):
        yield


def test_there_are_commands_to_check():
    assert len(ALL_COMMANDS) > 30
    assert all(commands(REPOSITORY / "docs" / name) for name in ("quickstart.md", "rewards.md", "recipes.md"))


@pytest.mark.parametrize("command", ALL_COMMANDS)
def test_every_command_composes(hydra_conf: None, command: str):
    options, lines = _split_arguments(shlex.split(command)[1:])
    overrides = first_point(parse(lines))
    for override in overrides:
        if override.key_or_group in BRINGS_FILE:
            value = override.value()
            for path in value if isinstance(value, list) else [value]:
                make_file(str(path))
    composed = compose("config", overrides=[str(override.input_line) for override in overrides])
    if talks_to_teacher(composed):
        rollout = to_config(compose("config", overrides=["stage=rollout", "teacher=model", "teacher.path=big"]))
        Path("outputs/default/rollout").mkdir(parents=True)
        write_config(Path("outputs/default/rollout"), dump(rollout))
        composed = with_run_teacher(composed, overrides)
    found = compose_stage(composed, overrides, sweep="-m" in options)
    refuse(found.verdicts)
    assert found.steps != []


def first_point(overrides: list[Override]) -> list[Override]:
    """The overrides of a sweep's first point. Settings of Hydra itself may be of a plugin that is not installed."""
    return parse([_first(override) for override in overrides if not override.key_or_group.startswith("hydra")])


def _first(override: Override) -> str:
    if not override.is_sweep_override():
        return str(override.input_line)
    sweep = override.value()
    first = sweep.start if isinstance(sweep, IntervalSweep) else next(iter(override.sweep_string_iterator()))
    return f"{override.key_or_group}={first}"


def make_file(name: str) -> None:
    path = Path(name)
    if not path.is_absolute():
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_relative_link_leads_to_something(page: Path):
    text = FENCED.sub("", page.read_text(encoding="utf-8"))
    broken = []
    for link in LINK.findall(text):
        if re.match(r"\w+:", link):
            continue
        target, _, anchor = link.partition("#")
        path = (page.parent / target).resolve() if target else page
        if not path.exists() or (anchor and anchor not in anchors(path)):
            broken.append(link)
    assert broken == []


def anchors(page: Path) -> set[str]:
    """The headings of a page as a forge makes anchors of them."""
    headings = re.findall(r"^#+ (.*)$", FENCED.sub("", page.read_text(encoding="utf-8")), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_script_and_make_target_exists(page: Path):
    targets = set(re.findall(r"^([a-z-]+):", (REPOSITORY / "Makefile").read_text(), re.MULTILINE))
    words = [shlex.split(line, comments=True) for line in code_lines(page) if re.match(r"(scripts/|make )", line)]
    for line in words:
        if line[0] == "make":
            assert set(line[1:2]) <= targets, line
        else:
            assert os.access(REPOSITORY / line[0], os.X_OK), line
    mentioned = re.findall(r"`(scripts/[\w.]+)", FENCED.sub("", page.read_text(encoding="utf-8")))
    assert [name for name in mentioned if not (REPOSITORY / name).is_file()] == []
