"""A training state on disk, in one shard or several."""

import torch

from mentor.policy import state


class Barrier:
    count = 0

    def __call__(self):
        self.count += 1


def test_a_state_reads_back_whatever_the_size_of_its_shards(tmp_path, monkeypatch):
    entries = {f"p{i}": {"weight": torch.full((4,), float(i)), "exp_avg": torch.arange(4.0) * i} for i in range(5)}
    for limit, files, waits in ((2**30, 1, 0), (40, 3, 2)):  # an entry has 32 bytes
        folder = tmp_path / str(limit)
        folder.mkdir()
        monkeypatch.setattr(state, "SHARD_BYTES", limit)
        barriers = [Barrier(), Barrier()]
        state.write_state(folder, {"step": 7}, entries.items(), barriers[0])
        state.write_state(None, {"step": 7}, entries.items(), barriers[1])
        assert [barrier.count for barrier in barriers] == [waits, waits], "every rank waits as often"
        assert len(list(folder.glob("parameters-*.pt"))) == files
        assert state.read_meta(folder) == {"step": 7}
        found = dict(state.read_parameters(folder))
        assert list(found) == list(entries)
        assert all(torch.equal(found[name][key], value) for name, e in entries.items() for key, value in e.items())


def test_a_rank_that_only_gathers_reads_every_parameter_and_writes_nothing(tmp_path):
    seen = []

    def parameters():
        for name in ("a", "b"):
            seen.append(name)
            yield name, {"weight": torch.zeros(1)}

    state.write_state(None, {"step": 1}, parameters(), lambda: None)
    assert seen == ["a", "b"] and not list(tmp_path.iterdir())
