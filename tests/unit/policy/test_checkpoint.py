import pytest

from mentor.policy.checkpoint import latest_checkpoint, save_checkpoint, save_folder


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


def test_the_newest_two_are_kept(tmp_path):
    for step in (9, 10, 11):
        save_checkpoint(tmp_path, step, lambda folder: (folder / "state.pt").write_text("x"))
    assert sorted(path.name for path in tmp_path.iterdir()) == ["step-00000010", "step-00000011"]
    assert latest_checkpoint(tmp_path / "none") is None


def test_a_folder_is_replaced_whole(tmp_path):
    save_folder(tmp_path / "model", lambda folder: (folder / "a").write_text("1"))
    save_folder(tmp_path / "model", lambda folder: (folder / "b").write_text("2"))
    assert [path.name for path in tmp_path.iterdir()] == ["model"]
    assert [path.name for path in (tmp_path / "model").iterdir()] == ["b"]
