"""Weights in files of shared memory, written once on a machine and read by all of its engines."""

from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
from safetensors.torch import load_file

from mentor.errors import SamplerError
from mentor.policy.ranks import Ranks
from mentor.sampling import weight_files as module
from mentor.sampling.weight_files import stored_weights, weight_files


class Local(Ranks):
    """One rank of two on the second of two machines, both of whose folders are known."""

    def __init__(self, local_rank: int, folder: Path | None = None) -> None:
        self.rank, self.size, self.local_rank, self.local_size = 2 + local_rank, 4, local_rank, 2
        self.folder, self.barriers = folder, 0

    def all_gather(self, value):
        return ["/of/the/first/machine", None, value or str(self.folder), None]

    def barrier(self):
        self.barriers += 1


def test_weights_are_written_by_one_rank_of_a_machine_and_gathered_by_all(tmp_path, monkeypatch):
    monkeypatch.setattr(module, "FILE_BYTES", 100)
    weights = {f"layer.{i}": torch.arange(16.0) + i for i in range(5)}
    first = Local(0)
    with weight_files(weights.items(), torch.bfloat16, first) as folder:
        files = sorted(folder.glob("*.safetensors"))
        assert len(files) == 2 and first.barriers == 1, "32 bytes each, so four and one"
        found = {name: value for file in files for name, value in load_file(file).items()}
    assert first.barriers == 2 and not folder.exists()
    assert list(found) == list(weights) and found["layer.1"].dtype == torch.bfloat16
    assert all(torch.equal(value.float(), weights[name]) for name, value in found.items())
    read = iter(weights.items())
    with weight_files(read, torch.bfloat16, Local(1, tmp_path)) as folder:
        assert folder == tmp_path and not list(read) and not list(tmp_path.iterdir())


def test_shared_memory_that_is_too_small_is_named(monkeypatch):
    monkeypatch.setattr(module.shutil, "disk_usage", lambda path: SimpleNamespace(free=2**20))
    with (
        pytest.raises(SamplerError, match=r"has 0\.0 GiB left, and all weights .* --shm-size"),
        weight_files({"a": torch.zeros(64)}.items(), torch.bfloat16, Ranks()),
    ):
        pass


def test_weights_keep_their_own_type_where_none_is_given():
    weights = {"a": torch.rand(3), "b": torch.rand(2).bfloat16()}
    with weight_files(weights.items(), None, Ranks()) as folder:
        found = dict(stored_weights(folder))
    assert all(torch.equal(found[name], value) and found[name].dtype == value.dtype for name, value in weights.items())
