"""A key's type, default, accepted values and meaning, as the help and the reference page show them."""

from dataclasses import dataclass, field

import pytest

from mentor.config import SamplerConfig, Section, choice, count
from mentor.key_help import SchemaError, as_typed, comments, default_presets, preset_values, section_rows, stage_help


@dataclass
class Inner(Section):
    size: int = count(3)  # rows of one part


@dataclass
class Outer(Inner):
    kind: str = choice("a", "a", "b")  # which of two, said in "# marks" too
    limit: float | None = None  # seconds
    words: list[str] = field(default_factory=list)  # what to look for


@dataclass
class Bare(Section):
    told: int = 1  # a number
    untold: int = 2
    # a comment of its own is no field's


def test_a_row_has_type_default_accepted_and_the_comment():
    rows = {row.key: row for row in section_rows(Outer, "x.", {"size": 5})}
    assert list(rows) == ["x.size", "x.kind", "x.limit", "x.words"]
    assert (rows["x.size"].default, rows["x.size"].accepted) == ("`5`", "1 or more")
    assert rows["x.size"].meaning == "rows of one part", "a field of the parent keeps its comment"
    assert rows["x.kind"].accepted == "`a`, `b`" and rows["x.kind"].meaning == 'which of two, said in "# marks" too'
    assert (rows["x.limit"].type, rows["x.limit"].default) == ("number or null", "`null`")
    assert rows["x.words"].type == "list of texts"


def test_a_field_without_a_comment_is_an_error_that_names_it():
    with pytest.raises(SchemaError, match=r"Bare\.untold"):
        comments(Bare)


def test_a_key_that_depends_on_a_choice_says_so():
    rows = {row.key: row for row in section_rows(SamplerConfig, "sampler.", {})}
    assert rows["sampler.kv_cache_gib"].meaning.endswith("; read with sampler=vllm")
    assert "read with" not in rows["sampler.max_turns"].meaning


def test_values_are_written_as_on_the_command_line():
    assert as_typed([None, True, "a\nb", 0.5]) == "[null, true, a\\nb, 0.5]" and as_typed({"k": [1]}) == "{k: [1]}"


def test_defaults_are_those_of_the_presets():
    assert (default_presets()["reward"], default_presets()["benchmark"]) == ("flexible", "calculator")
    assert preset_values("reward", "sparse")["terms"]["correct"] == {"term": "correct", "weight": 1.0}
    assert preset_values("launcher", "slurm") == {"name": "slurm", "jobs": 64}
    assert "  launcher.jobs=64" in stage_help("rl", {"launcher": "slurm", "reward": "unknown"})
