"""docs/configuration.md is what the schemas and presets say, and a field without a meaning cannot get past."""

from dataclasses import dataclass

from mentor.config import SECTIONS, STAGES, TEACHERS, TRAINERS, Section, schema_keys
from scripts import config_reference


def test_the_page_is_up_to_date():
    assert config_reference.OUTPUT.read_text(encoding="utf-8") == config_reference.reference(), (
        "run python scripts/config_reference.py"
    )
    assert config_reference.main(["--check"]) == 0


def test_every_key_of_every_schema_is_on_the_page():
    page = config_reference.reference()
    keys = [f"{group}.{key}" for group, schema in SECTIONS.items() for key in schema_keys(schema)]
    keys += [f"stage.{key}" for schema in STAGES.values() for key in schema_keys(schema)]
    keys += [f"teacher.{key}" for schema in TEACHERS.values() for key in schema_keys(schema)]
    keys += [f"trainer.{key}" for schema in TRAINERS.values() for key in schema_keys(schema)]
    keys += ["run", "name", "seed", "init", "overwrite"]
    shown = [key.replace("benchmark.", "benchmark.<name>.", 1) for key in keys]
    assert [key for key in shown if f"`{key}`" not in page] == []


def test_a_preset_that_sets_keys_of_a_stage_is_shown_with_them():
    lines = config_reference.reference().splitlines()
    shy = next(line for line in lines if line.startswith("| `tiny_shy`"))
    assert "in stage=pretrain `stage." in shy and "`stage.shyness=" in shy, "its own and those it takes from another"
    assert "in stage=" not in next(line for line in lines if line.startswith("| `tiny`"))


@dataclass
class Bare(Section):
    told: int = 1  # a number
    untold: int = 2
    # a comment of its own is no field's


def test_check_says_in_one_line_what_differs(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(config_reference, "OUTPUT", tmp_path / "docs" / "configuration.md")
    assert config_reference.main(["--check"]) == 1
    assert config_reference.main([]) == 0 and config_reference.main(["--check"]) == 0
    config_reference.OUTPUT.write_text("something else")
    assert config_reference.main(["--check"]) == 1
    assert config_reference.main(["--chekc"]) == 2
    said = capsys.readouterr().err.splitlines()
    assert len(said) == 3 and all(line.startswith("config_reference: ") for line in said)


def test_a_schema_without_a_meaning_is_one_line_too(monkeypatch, capsys):
    monkeypatch.setattr(config_reference, "SECTIONS", {**SECTIONS, "paths": Bare})
    assert config_reference.main(["--check"]) == 1
    assert "Bare.untold has no comment" in capsys.readouterr().err
