"""What is asked of Slurm, up to the script that `sbatch` is given; there is no cluster here."""

from pathlib import Path

import pytest
from hydra import compose, initialize_config_dir

from mentor.compose import compose_stage, parse, register_schemas
from mentor.conf_dir import conf_dir
from mentor.sweeps.slurm import Requeued, make_executor

ASKED = [
    "launcher.slurm.partition=gpu",
    "launcher.slurm.account=lab",
    "launcher.slurm.time_min=90",
    "launcher.slurm.gpus=2",
    "launcher.slurm.cpus=4",
    "launcher.slurm.memory_gib=32",
    "launcher.slurm.setup=['module load cuda']",
    "+launcher.slurm.options.qos=high",
    "launcher.jobs=3",
    "launcher.slurm.nodes=2",
    "trainer.nodes=2",
    "trainer/deepspeed=zero2",
]


def test_a_sweep_is_an_array_of_jobs_that_are_queued_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    pytest.importorskip("submitit")
    for name in ("srun", "sbatch"):
        (tmp_path / name).write_text("#!/bin/sh\necho Submitted batch job 12\n")
        (tmp_path / name).chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    register_schemas()
    with initialize_config_dir(str(conf_dir()), version_base="1.3"):
        overrides = ["stage=rl", "launcher=slurm", *ASKED]
        config = compose_stage(compose("config", overrides=overrides), parse(overrides)).config
    assert config.launcher.name == "slurm"
    jobs = make_executor(tmp_path / "jobs", config.launcher).map_array(Requeued(str), [1, 2, 3, 4])
    assert [job.job_id for job in jobs] == ["12_0", "12_1", "12_2", "12_3"]
    script = min((tmp_path / "jobs").glob("*.sh"))
    asked = {line.removeprefix("#SBATCH ") for line in script.read_text().splitlines() if line.startswith("#SBATCH ")}
    wanted = {"partition=gpu", "account=lab", "time=90", "gpus-per-node=2", "cpus-per-task=4", "mem=32GB", "qos=high"}
    wanted |= {"nodes=2", "ntasks-per-node=1"}
    assert {f"--{option}" for option in wanted} <= asked
    assert "--array=0-3%3" in asked and any(line.startswith("--signal=USR2@") for line in asked)
    assert "module load cuda" in script.read_text()


def test_an_interrupted_function_is_called_again_with_its_arguments():
    pytest.importorskip("submitit")
    again = Requeued(max).checkpoint(3, 5)
    assert again.result() == 5
