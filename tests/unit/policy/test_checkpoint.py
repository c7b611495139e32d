import pytest

from mentor import progress
from mentor.errors import PolicyError, RunFolderError
from mentor.lock import FolderLock
from mentor.policy import checkpoint
from mentor.policy.checkpoint import (
    agreed_checkpoint,
    checkpoint_path,
    checkpoint_steps,
    drop_checkpoints,
    latest_checkpoint,
    save_checkpoint,
    save_folder,
)
from mentor.policy.ranks import Ranks


def test_a_checkpoint_that_was_not_finished_is_not_there(tmp_path):
    def fails(folder):
        (folder / "state.pt").write_text("half")
        raise OSError(28, "No space left on device")

    save_checkpoint(tmp_path, 10, lambda folder: (folder / "state.pt").write_text("ten"))
    with pytest.raises(OSError):
        save_checkpoint(tmp_path, 20, fails)
    step, path = latest_checkpoint(tmp_path)
    assert step == 10 and (path / "state.pt").read_text() == "ten"
    save_checkpoint(tmp_path, 20, lambda folder: (folder / "state.pt").write_text("twenty"))
    assert latest_checkpoint(tmp_path)[0] == 20


def test_dropped_are_all_but_those_to_keep_and_those_that_are_read(tmp_path):
    for step in (9, 10, 11):
        save_checkpoint(tmp_path, step, lambda folder: (folder / "state.pt").write_text("x"))
    with FolderLock(checkpoint_path(tmp_path, 9), make=False):  # as stage=eval holds one
        drop_checkpoints(tmp_path, {11})
        assert checkpoint_steps(tmp_path) == [9, 11]
    drop_checkpoints(tmp_path, {11})
    assert checkpoint_steps(tmp_path) == [11] and latest_checkpoint(tmp_path / "none") is None
    gone = checkpoint_path(tmp_path, 9)
    with pytest.raises(RunFolderError, match="step-00000009 is no longer there"), FolderLock(gone, make=False):
        pass
    assert not gone.exists()


def test_a_folder_is_replaced_whole(tmp_path):
    save_folder(tmp_path / "model", lambda folder: (folder / "a").write_text("1"))
    save_folder(tmp_path / "model", lambda folder: (folder / "b").write_text("2"))
    assert [path.name for path in tmp_path.iterdir()] == ["model"]
    assert [path.name for path in (tmp_path / "model").iterdir()] == ["b"]


def test_the_other_ranks_wait_at_a_barrier_until_all_is_written(tmp_path, monkeypatch):
    monkeypatch.setattr(progress, "_now", progress._Position())

    class Counted(Ranks):
        def __init__(self, rank):
            self.rank, self.size, self.seen = rank, 2, None

        def barrier(self):
            self.seen = (progress.position()[0], latest_checkpoint(tmp_path))

    def write(folder):
        assert progress.position()[0] == "save"
        if folder is not None:
            (folder / "state.pt").write_text("x")

    other, main = Counted(1), Counted(0)
    save_checkpoint(tmp_path, 1, write, other)
    assert other.seen is not None and other.seen[1] is None and other.seen[0] != "save"
    save_checkpoint(tmp_path, 1, write, main)
    assert main.seen[1] == (1, tmp_path / "step-00000001")


class TwoRanks(Ranks):
    """Rank 0 of two, of which the other sees these steps, one after the other and the last for ever."""

    size = 2

    def __init__(self, *steps: int | None) -> None:
        self.steps = list(steps)

    def all_gather(self, value):
        if isinstance(value, bool):
            return [value, value]
        return [value, self.steps.pop(0) if len(self.steps) > 1 else self.steps[0]]


def test_ranks_wait_until_all_see_the_newest_checkpoint(tmp_path, monkeypatch):
    monkeypatch.setattr(checkpoint, "SEEN_S", 0.0)
    monkeypatch.setattr(checkpoint.time, "sleep", lambda seconds: None)
    assert agreed_checkpoint(tmp_path, TwoRanks(None)) is None and agreed_checkpoint(tmp_path, Ranks()) is None
    (tmp_path / "step-00000003").mkdir()
    with pytest.raises(PolicyError, match=r"different checkpoints in .*, after steps \[3, None\]"):
        agreed_checkpoint(tmp_path, TwoRanks(None))
    monkeypatch.setattr(checkpoint, "SEEN_S", 60.0)
    assert agreed_checkpoint(tmp_path, TwoRanks(None, None, 3)) == (3, tmp_path / "step-00000003")
