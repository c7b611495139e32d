"""The rank that a launcher gave this process: torchrun, DeepSpeed's, mpirun or srun, by the variables that they set."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

from mentor.errors import ConfigError

TORCH = ("RANK", "WORLD_SIZE", "LOCAL_RANK")
KINDS: dict[str, tuple[str, str, str]] = {
    "torchrun or the like": TORCH,
    "mpirun": ("OMPI_COMM_WORLD_RANK", "OMPI_COMM_WORLD_SIZE", "OMPI_COMM_WORLD_LOCAL_RANK"),
    "mpiexec": ("PMI_RANK", "PMI_SIZE", "MPI_LOCALRANKID"),
    "srun": ("SLURM_PROCID", "SLURM_STEP_NUM_TASKS", "SLURM_LOCALID"),
}
"""The variables of a process's rank, of the number of processes, and of the rank on its machine, by who sets them. One
that runs below another comes first: mpirun starts its own processes with srun."""

PORT = 29500  # torch's default
SLURM_PORTS = range(20000, 60000)  # one for each job step, so that two on one machine do not meet


@dataclass(frozen=True)
class Launched:
    """by: who started this process and `size` - 1 others. local_rank: None where it is not said. address: of rank 0."""

    by: str
    rank: int
    size: int
    local_rank: int | None
    address: str
    port: int


def launched(environ: Mapping[str, str]) -> Launched | None:
    """Return the rank of this process among several; None where it is alone. Raises ConfigError for half a rank."""
    for by, names in KINDS.items():
        if names != TORCH and not all(name in environ for name in names):
            continue
        values = [_number(environ, name) for name in names]
        rank, size, local_rank = values
        if rank is None and size is None:
            continue
        if rank is None or size is None:
            given, missing = names[:2] if size is None else names[1::-1]
            raise ConfigError(f"`{given}` is set in the environment without {missing}; accepted: both, or neither")
        if size == 1:
            return None
        return Launched(by, rank, size, local_rank, _address(by, environ), _port(environ))
    return None


def first_host(nodes: str) -> str:
    """Return the first host of Slurm's list, such as `gpu[07-09,12],cpu1`."""
    found = re.match(r"([^\[,]+)(?:\[(\w+))?", nodes)
    return "" if found is None else found[1] + (found[2] or "")


def _number(environ: Mapping[str, str], name: str) -> int | None:
    value = environ.get(name)
    if value is None:
        return None
    if not value.isdigit():
        raise ConfigError(f"`{name}={value}` is set in the environment; accepted: a whole number")
    return int(value)


def _address(by: str, environ: Mapping[str, str]) -> str:
    address = environ.get("MASTER_ADDR") or (first_host(environ.get("SLURM_STEP_NODELIST", "")) if by == "srun" else "")
    if not address:
        raise ConfigError(f"`MASTER_ADDR` is not set, and {by} started several processes; accepted: the host of rank 0")
    return address


def _port(environ: Mapping[str, str]) -> int:
    given = _number(environ, "MASTER_PORT")
    job, step = (_number(environ, name) for name in ("SLURM_JOB_ID", "SLURM_STEP_ID"))
    if given is not None or job is None:
        return given or PORT
    return SLURM_PORTS[(job + 101 * (step or 0)) % len(SLURM_PORTS)]
