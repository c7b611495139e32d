"""The command line: help without heavy imports, the version, completion, exit codes."""

import resource
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from mentor.cli import help_text, main
from mentor.conf_dir import conf_dir
from mentor.config import STAGE_GROUPS, STAGES, schema_keys

REPOSITORY = conf_dir().parent


def run_python(code: str) -> tuple[subprocess.CompletedProcess[str], float]:
    """Run code in a separate process. Returns it and its CPU seconds, which a busy machine does not lengthen."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=REPOSITORY)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return done, after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def test_help_is_fast_and_imports_neither_torch_nor_hydra():
    code = (
        "import sys; from mentor.cli import main; code = main([]);"
        "heavy = [name for name in ('torch', 'hydra', 'transformers', 'wandb', 'omegaconf') if name in sys.modules];"
        "sys.exit(code or len(heavy))"
    )
    done, seconds = run_python(code)
    assert done.returncode == 0, done
    assert seconds < 1
    for word in (*STAGES, "flexible", "qwen3_8b", "experiment=demo_full", "mentor -m"):
        assert word in done.stdout


def test_the_version_is_the_projects(capsys: pytest.CaptureFixture[str]):
    project = tomllib.loads((REPOSITORY / "pyproject.toml").read_text())["project"]
    assert main(["--version"]) == 0 and capsys.readouterr().out == f"mentor {project['version']}\n"
    assert main(["stage=rl", "--version"]) == 0


@pytest.mark.parametrize("stage", STAGES)
def test_the_help_of_a_stage_has_its_keys_and_not_those_of_others(stage: str, capsys: pytest.CaptureFixture[str]):
    assert main([f"stage={stage}", "--help"]) == 0
    said = capsys.readouterr().out
    for key in schema_keys(STAGES[stage]):
        assert key == "name" or f"  stage.{key}=" in said
    for group in ("task", "tools", "reward", "benchmark"):
        assert (f"  {group}." in said) == (group in STAGE_GROUPS[stage])
    assert "  run=default" in said and "  logger.wandb=offline" in said


def test_the_help_of_a_stage_is_fast_and_shows_the_presets_that_are_chosen():
    code = (
        "import sys; from mentor.cli import main; code = main(['stage=rl', 'reward=sparse', '--help']);"
        "sys.exit(code or 'torch' in sys.modules or 'hydra' in sys.modules)"
    )
    done, seconds = run_python(code)
    assert done.returncode == 0, done
    assert seconds < 2
    assert "  reward.name=sparse" in done.stdout and "reward=sparse (of flexible" in done.stdout
    assert "trainer.learning_rate=3e-4" in done.stdout and "at its highest, after the warm-up" in done.stdout
    assert "model.hidden_size" not in done.stdout  # a key of stage=pretrain and check


def test_the_help_of_no_stage_is_that_of_all(capsys: pytest.CaptureFixture[str]):
    for command in ([], ["--help"], ["-h", "stage=rx"], ["stage=rl,sft", "--help"]):
        assert main(command) == 0
        assert capsys.readouterr().out == help_text()


def test_completion_offers_presets_and_keys(
    work: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
):
    for line, offered in (
        ("mentor stage=rl reward=spa", "reward=sparse"),
        ("mentor stage=rl trainer.lea", "trainer.learning_rate="),
    ):
        monkeypatch.setenv("COMP_LINE", line)
        assert main(["--shell-completion", "query=bash"]) == 0
        assert capfd.readouterr().out.split() == [offered]
    assert main(["--shell-completion", "install=bash"]) == 0
    assert "complete -o nospace -o default -F hydra_bash_completion mentor" in capfd.readouterr().out
