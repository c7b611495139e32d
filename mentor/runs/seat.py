"""Which of the processes of a command on several machines this one is: by its keys, or by a launcher's variables.

There are two forms. One command on each node starts the ranks of its node; or a launcher has started every rank, each
with this command, and none of them starts another.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from mentor.config import Config, ScaledTrainer
from mentor.errors import ConfigError
from mentor.runs.outside import Launched, launched


@dataclass(frozen=True)
class Seat:
    """index, count: of this process among those that meet at the address and port, the first's. local_rank: of a
    process that is itself a rank; None for one that starts the ranks of a node."""

    index: int
    count: int
    address: str
    port: int
    local_rank: int | None = None

    @property
    def is_rank(self) -> bool:
        return self.local_rank is not None

    def name(self, index: int, host: str) -> str:
        """Name one of them in a message."""
        return f"rank {index} of {self.count} ({host})" if self.is_rank else f"node {index} ({host})"


def is_spread(config: Config) -> bool:
    """Return whether a stage runs on several nodes."""
    trainer = scaled_trainer(config)
    return trainer is not None and trainer.nodes > 1


def scaled_trainer(config: Config) -> ScaledTrainer | None:
    """Return the trainer of a stage that may have several ranks; stage=check plans for those of another stage."""
    return config.trainer if isinstance(config.trainer, ScaledTrainer) and config.stage.name != "check" else None


def find_seat(configs: Sequence[Config], environ: Mapping[str, str]) -> Seat | None:
    """Return the seat of this process in a command of these stages, in order; None where it is alone.

    Raises ConfigError where keys, stages and variables do not fit together.
    """
    outside, launcher = launched(environ), configs[0].launcher
    sizes = {(trainer.nodes, trainer.num_processes) for config in configs if (trainer := scaled_trainer(config))}
    wide = {size for size in sizes if size[0] > 1}
    if len(wide) > 1:
        raise ConfigError(f"`trainer.nodes` or trainer.num_processes differ between steps of several nodes: {wide}")
    nodes, per_node = wide.pop() if wide else max(sizes, default=(1, 1))
    rank, accepted = launcher.node_rank, f"0 to {nodes - 1}"
    if outside is not None and rank is None:
        return _by_launcher(outside, configs, nodes, per_node)
    if outside is not None and (rank, nodes) != (outside.rank, outside.size):
        raise ConfigError(
            f"`launcher.node_rank={rank}` with trainer.nodes={nodes} is not the rank {outside.rank} of {outside.size} "
            f"that {outside.by} gave; accepted: the key or the launcher"
        )
    if nodes == 1:
        return None
    if rank is None:
        raise ConfigError(
            f"`launcher.node_rank` is not set, and trainer.nodes={nodes}: which node is this? accepted: {accepted}, "
            "with launcher.master_addr=<host of node 0>; or start the command with torchrun, srun, deepspeed or mpirun"
        )
    if rank >= nodes:
        raise ConfigError(f"`launcher.node_rank={rank}` does not go with trainer.nodes={nodes}; accepted: {accepted}")
    if launcher.master_addr is None:
        raise ConfigError("`launcher.master_addr` is not set: the host or address of node 0, as all nodes reach it")
    return Seat(rank, nodes, launcher.master_addr, launcher.master_port)


def _by_launcher(outside: Launched, configs: Sequence[Config], nodes: int, per_node: int) -> Seat:
    started, ranks = f"{outside.by} started {outside.size} processes", nodes * per_node
    stage = configs[0].stage.name
    if ranks == 1:
        raise ConfigError(
            f"{started}, and stage={stage} runs in one; accepted: one process, or a stage=sft or rl with "
            f"trainer.nodes x trainer.num_processes = {outside.size}"
        )
    if outside.size not in (ranks, nodes):
        raise ConfigError(
            f"{started}, and trainer.nodes={nodes} x trainer.num_processes={per_node} are {ranks} ranks; accepted: "
            f"{ranks} processes" + (f", or {nodes}, one on each node, which start their ranks" if nodes > 1 else "")
        )
    if outside.size == nodes and (per_node > 1 or len(configs) > 1):
        return Seat(outside.rank, nodes, outside.address, outside.port)
    if len(configs) > 1:
        raise ConfigError(
            f"{started}, each a rank of one stage, and stage=pipeline has {len(configs)}; accepted: one stage, or one "
            "process on each node, which starts the ranks of every step"
        )
    local_rank = outside.local_rank
    if local_rank is None and per_node > 1:
        raise ConfigError(f"{started} without LOCAL_RANK, which says the GPU of each; accepted: 0 to {per_node - 1}")
    if (local_rank or 0) >= per_node:
        raise ConfigError(
            f"LOCAL_RANK={local_rank} does not go with trainer.num_processes={per_node}, the ranks of each node"
        )
    return Seat(outside.rank, ranks, outside.address, outside.port, local_rank or 0)
