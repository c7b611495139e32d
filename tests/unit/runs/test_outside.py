"""What torchrun, mpirun, mpiexec and srun say of a process's rank, and what half of that is refused with."""

import pytest

from mentor.errors import ConfigError
from mentor.runs.outside import Launched, first_host, launched

TORCH = {"RANK": "3", "WORLD_SIZE": "4", "LOCAL_RANK": "1", "MASTER_ADDR": "a", "MASTER_PORT": "7"}
SRUN = {"SLURM_PROCID": "1", "SLURM_STEP_NUM_TASKS": "2", "SLURM_LOCALID": "0", "SLURM_STEP_NODELIST": "gpu[07-09],x"}
OMPI = {"OMPI_COMM_WORLD_RANK": "2", "OMPI_COMM_WORLD_SIZE": "4", "OMPI_COMM_WORLD_LOCAL_RANK": "0", "MASTER_ADDR": "a"}


@pytest.mark.parametrize(
    ("environ", "found"),
    [
        (TORCH, Launched("torchrun or the like", 3, 4, 1, "a", 7)),
        ({**SRUN, **TORCH}, Launched("torchrun or the like", 3, 4, 1, "a", 7)),
        ({**SRUN, "SLURM_JOB_ID": "41", "SLURM_STEP_ID": "2"}, Launched("srun", 1, 2, 0, "gpu07", 20243)),
        ({**SRUN, "MASTER_ADDR": "b", "MASTER_PORT": "9"}, Launched("srun", 1, 2, 0, "b", 9)),
        ({**SRUN, **OMPI}, Launched("mpirun", 2, 4, 0, "a", 29500)),
        ({"PMI_RANK": "0", "PMI_SIZE": "2", **SRUN}, Launched("srun", 1, 2, 0, "gpu07", 29500)),
        (
            {"PMI_RANK": "0", "PMI_SIZE": "2", "MPI_LOCALRANKID": "0", "MASTER_ADDR": "a"},
            Launched("mpiexec", 0, 2, 0, "a", 29500),
        ),
        (
            {"RANK": "1", "WORLD_SIZE": "2", "MASTER_ADDR": "a"},
            Launched("torchrun or the like", 1, 2, None, "a", 29500),
        ),
        ({**TORCH, "WORLD_SIZE": "1", "RANK": "0"}, None),
        ({"SLURM_PROCID": "0", "SLURM_NTASKS": "2", "SLURM_LOCALID": "0"}, None),  # a batch script, without srun
        ({}, None),
    ],
)
def test_the_rank_is_read_from_who_started_the_process_last(environ, found):
    assert launched(environ) == found


@pytest.mark.parametrize(
    ("environ", "message"),
    [
        ({"RANK": "1"}, "`RANK` is set in the environment without WORLD_SIZE"),
        ({"WORLD_SIZE": "2"}, "`WORLD_SIZE` is set in the environment without RANK"),
        ({**TORCH, "RANK": "first"}, "`RANK=first` is set in the environment; accepted: a whole number"),
        ({"RANK": "1", "WORLD_SIZE": "2"}, "`MASTER_ADDR` is not set"),
    ],
)
def test_half_a_rank_is_refused(environ, message):
    with pytest.raises(ConfigError, match=message):
        launched(environ)


@pytest.mark.parametrize(
    ("nodes", "host"), [("a1", "a1"), ("a[3,5-7]", "a3"), ("gpu[07-09,12],cpu1", "gpu07"), ("x-1,y", "x-1"), ("", "")]
)
def test_the_first_host_of_slurms_list(nodes, host):
    assert first_host(nodes) == host
