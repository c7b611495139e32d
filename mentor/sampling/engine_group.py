"""vLLM engines in processes of their own, any number for the ranks of a machine: who holds which, and how weights come.

Engine e belongs to the local rank e modulo the ranks of the machine, so a rank has several, one or none; a rank without
any gets no rollouts. New weights are written once on each machine, into shared memory, and all its engines read them.
"""

from __future__ import annotations

import shutil
import tempfile
import time
from collections.abc import Collection, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from pathlib import Path

import torch
from safetensors.torch import save_file

from mentor import progress
from mentor.errors import SamplerError
from mentor.policy.ranks import Ranks
from mentor.sampling.sampler import Completion, SamplingParams
from mentor.sampling.vllm_engine import VllmSettings
from mentor.sampling.vllm_sampler import VllmSampler

SHARED_MEMORY = Path("/dev/shm")
FILE_BYTES = 2**30  # of weights on their way
HEADER_BYTES = 2**20  # of a file, at most
POLL_S = 0.0005  # between two looks for an output of any engine; a step of one takes milliseconds


def engine_count(wanted: int | None, tensor_parallel: int, trained: int) -> int:
    """Count the engines of a machine: as wanted, else as many as fit on the GPUs that no rank trains on, and without a
    GPU one for each rank. trained: ranks of a policy on this machine, 0 where none is trained."""
    if wanted is not None:
        return wanted
    gpus = torch.cuda.device_count()
    return max(1, (gpus - trained) // tensor_parallel if gpus else trained)


def open_group(
    settings: Sequence[VllmSettings], end_ids: Collection[int], dtype: torch.dtype, ranks: Ranks, takes_adapter: bool
) -> EngineGroup:
    """Start the engines of this rank, one after another; where one does not start, those before it are closed.

    takes_adapter: as all engines of all ranks.
    """
    with ExitStack() as started:
        engines = []
        for own in settings:
            engines.append(VllmSampler(own, end_ids))
            started.callback(engines[-1].close)
        started.pop_all()
    return EngineGroup(engines, dtype, ranks, takes_adapter)


class EngineGroup:
    """Implements `Sampler` over the engines of this rank. A session stays with its engine, which has its cache."""

    def __init__(
        self, engines: Sequence[VllmSampler], dtype: torch.dtype, ranks: Ranks, takes_adapter: bool = False
    ) -> None:
        self.engines, self.dtype, self.takes_adapter = engines, dtype, takes_adapter
        self._ranks = ranks
        self._engine_of: dict[str, VllmSampler] = {}

    @property
    def busy(self) -> bool:
        return any(engine.busy for engine in self.engines)

    def add_request(self, session: str, token_ids: Sequence[int], params: SamplingParams) -> None:
        """Begin a session on the engine with the fewest; the first of these, so that lockstep repeats."""
        engine = self._engine_of.get(session)
        if engine is None:
            sessions = list(self._engine_of.values())
            engine = min(self.engines, key=sessions.count)
        engine.add_request(session, token_ids, params)
        self._engine_of[session] = engine

    def step(self) -> list[Completion]:
        """Wait for the first engine that has an output; its step waits for none of the others."""
        busy = [engine for engine in self.engines if engine.busy]
        while busy and not (ready := [engine for engine in busy if engine.has_output]):
            time.sleep(POLL_S)
        return [completion for engine in ready for completion in engine.step()] if busy else []

    def end_session(self, session: str) -> None:
        if (engine := self._engine_of.pop(session, None)) is not None:
            engine.end_session(session)

    def sleep(self) -> None:
        """All memory is the engines' own, so nothing is freed; sessions end."""
        for engine in self.engines:
            engine.sleep()
        self._engine_of.clear()

    def load_weights(self, weights: Iterable[tuple[str, torch.Tensor]]) -> None:
        """Write the weights once on this machine, and load them into its engines, all at once."""
        with weight_files(weights, self.dtype, self._ranks) as folder, ThreadPoolExecutor() as threads:
            list(threads.map(lambda engine: engine.load_files(folder), self.engines))
        self._engine_of.clear()

    def close(self) -> None:
        with ExitStack() as closing:
            for engine in self.engines:
                closing.callback(engine.close)


@contextmanager
def weight_files(weights: Iterable[tuple[str, torch.Tensor]], dtype: torch.dtype, ranks: Ranks) -> Iterator[Path]:
    """Write safetensors files in `dtype`, once on each machine; yields their folder, which goes when all have read it.

    Every rank takes part and reads all weights; the first of each machine writes.
    """
    with ExitStack() as ours:
        own = None
        if ranks.local_rank == 0:
            shared = SHARED_MEMORY if SHARED_MEMORY.is_dir() else None
            own = ours.enter_context(tempfile.TemporaryDirectory(dir=shared, prefix="mentor-weights-"))
        folder = Path(ranks.all_gather(own)[ranks.rank - ranks.local_rank])
        write_files(weights, dtype, folder if own is not None else None)
        ranks.barrier()
        yield folder
        ranks.barrier()


def write_files(weights: Iterable[tuple[str, torch.Tensor]], dtype: torch.dtype, folder: Path | None) -> None:
    """Write files of about FILE_BYTES, each as soon as it is full. folder: None on a rank that only gathers.

    Raises SamplerError where they do not fit.
    """
    full: dict[str, torch.Tensor] = {}
    count = size = 0
    for name, value in weights:
        progress.beat()
        if folder is None:
            continue
        full[name] = value.detach().to("cpu", dtype, copy=True).contiguous()
        size += full[name].nbytes
        if size >= FILE_BYTES:
            _write_file(full, size, folder / f"{count:05}.safetensors")
            full, size, count = {}, 0, count + 1
    if full and folder is not None:
        _write_file(full, size, folder / f"{count:05}.safetensors")


def _write_file(tensors: dict[str, torch.Tensor], size: int, path: Path) -> None:
    free = shutil.disk_usage(path.parent).free
    if free < size + HEADER_BYTES:
        raise SamplerError(
            f"{path.parent.parent} has {free / 2**30:.1f} GiB left, and all weights go through it to the engines of "
            "sampler.placement=separate; accepted: more shared memory (of a container: --shm-size)"
        )
    save_file(tensors, path)
