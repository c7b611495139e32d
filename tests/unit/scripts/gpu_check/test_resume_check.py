"""What the check reads of a run folder."""

from scripts.gpu_check.resume_check import rows, saved_steps


def test_saved_steps_are_those_of_whole_checkpoints(tmp_path):
    assert saved_steps(tmp_path) == 0
    for name in ("step-1", "step-12", "partial-13"):
        (tmp_path / "checkpoints" / name).mkdir(parents=True)
    assert saved_steps(tmp_path) == 12


def test_rows_are_those_of_the_metrics(tmp_path):
    (tmp_path / "metrics.jsonl").write_text('{"step": 1}\n{"step": 2}\n')
    assert [row["step"] for row in rows(tmp_path)] == [1, 2]
