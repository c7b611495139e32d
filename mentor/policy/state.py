"""A training state on disk, the same whatever engine and however many processes wrote it or read it.

`meta.pt` holds the step and the random numbers; `parameters-*.pt` hold, by parameter name, the float32 weight and the
optimiser's moments, whole. A run may go on with another number of processes, another ZeRO stage, or none.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

import torch

from mentor import progress

SHARD_BYTES = 2**30  # of one file, so that writing holds little beside the training itself

Entry = dict[str, torch.Tensor]
"""`weight`, and the optimiser's moments by their names in torch."""


def write_state(
    folder: Path | None, meta: dict[str, Any], parameters: Iterable[tuple[str, Entry]], barrier: Callable[[], None]
) -> None:
    """Write a training state.

    folder: None on a rank that only takes part in gathering the parameters. barrier: of the ranks, which wait there,
    and not inside of a collective, while a file is written.
    """
    shard: dict[str, Entry] = {}
    size = count = 0
    for name, entry in parameters:
        progress.beat()
        size += sum(value.numel() * value.element_size() for value in entry.values())
        if folder is not None:
            shard[name] = {key: value.detach().to("cpu", copy=True) for key, value in entry.items()}
        if size >= SHARD_BYTES:
            if folder is not None:
                _save(folder / f"parameters-{count:05d}.pt", shard)
            barrier()
            shard, size, count = {}, 0, count + 1
    if folder is not None:
        _save(folder / f"parameters-{count:05d}.pt", shard)
        _save(folder / "meta.pt", meta)


def read_meta(folder: Path) -> dict[str, Any]:
    return dict(torch.load(folder / "meta.pt", map_location="cpu", weights_only=False))


def read_parameters(folder: Path) -> Iterator[tuple[str, Entry]]:
    for path in sorted(folder.glob("parameters-*.pt")):
        for item in torch.load(path, map_location="cpu", weights_only=True).items():
            progress.beat()
            yield item


def _save(path: Path, values: dict[str, Any]) -> None:
    with path.open("wb") as file:  # an own file: torch's writer hides why a write failed
        torch.save(values, file)
