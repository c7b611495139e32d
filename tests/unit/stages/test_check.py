"""`stage=check` through the command, the presets it judges, and the page of their plans."""

import subprocess
from pathlib import Path

import pytest

from mentor.cli import main
from mentor.conf_dir import conf_dir
from scripts import hardware_table

REPOSITORY = conf_dir().parent


@pytest.fixture
def work(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_the_default_fits_before_anything_was_made_and_writes_nothing(work: Path, capfd: pytest.CaptureFixture[str]):
    assert main(["stage=check"]) == 0
    shown = capfd.readouterr().out
    for phase in ("start", "rollout", "logprobs", "backward", "step", "push", "save"):
        assert f" {phase} " in shown
    assert "run `mentor stage=pretrain` first" in shown and "fits: " in shown.splitlines()[-1]
    assert not list(work.iterdir())


def test_what_cannot_fit_is_refused_in_one_line_with_what_helps(work: Path, capfd: pytest.CaptureFixture[str]):
    command = ["stage=check", "experiment=paper_1x24gb", "model=qwen3_8b"]
    assert main(command) == 2
    said = capfd.readouterr().err
    assert said.count("\n") == 1 and said.startswith("mentor: push needs ")
    helps = said.partition("this fits: ")[2].split()
    assert main([*command, *helps]) == 0
    assert "fits: " in capfd.readouterr().out


def test_a_plan_for_several_processes_starts_none(work: Path, capfd: pytest.CaptureFixture[str]):
    assert main(["stage=check", "trainer/deepspeed=zero2", "trainer.num_processes=2", "sampler=vllm"]) == 0
    assert "ZeRO 2, processes: 2" in capfd.readouterr().out


def test_every_command_of_the_hardware_page_composes_and_fits():
    rows = hardware_table.rows()
    assert len(rows) == 18
    assert not [row.command for row in rows if row.plan.misfits]


def test_the_hardware_page_is_that_of_the_plan():
    assert hardware_table.page(hardware_table.PAGE.read_text()) == hardware_table.PAGE.read_text()


def test_gpu_check_measures_on_a_cpu_what_it_would_on_a_gpu(work: Path):
    script = REPOSITORY / "scripts" / "gpu_check.sh"
    said = subprocess.check_output([script, "--shape", "tiny", "--tokens", "512", "--steps", "1"], text=True)
    assert "tokens/s" in said and "peak / plan" in said and "chunked loss" in said


def test_gpu_check_says_where_there_is_no_gpu(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
    said = subprocess.check_output([REPOSITORY / "scripts" / "gpu_check.sh"], text=True)
    assert said.startswith("gpu_check: no GPU is here")
