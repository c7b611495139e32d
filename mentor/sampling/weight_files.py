"""Weights on their way to engines in processes of their own: files in shared memory, once for those of a machine."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import torch
from safetensors import safe_open
from safetensors.torch import save_file

from mentor import progress
from mentor.errors import SamplerError
from mentor.policy.ranks import Ranks

SHARED_MEMORY = Path("/dev/shm")
FILE_BYTES = 2**30  # of weights on their way
HEADER_BYTES = 2**20  # of a file, at most


@contextmanager
def weight_files(
    weights: Iterable[tuple[str, torch.Tensor]], dtype: torch.dtype | None, ranks: Ranks
) -> Iterator[Path]:
    """Write safetensors files once on each machine; yields their folder, which goes when all have read it.

    Every rank takes part and reads all weights; the first of each machine writes. dtype: None for each weight's own.
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


def write_files(weights: Iterable[tuple[str, torch.Tensor]], dtype: torch.dtype | None, folder: Path | None) -> None:
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


def stored_weights(folder: Path) -> Iterator[tuple[str, torch.Tensor]]:
    """Read the weights of such a folder, one after another."""
    for path in sorted(folder.glob("*.safetensors")):
        with safe_open(path, framework="pt") as file:
            names = list(file.keys())
            for name in names:
                yield name, file.get_tensor(name)
