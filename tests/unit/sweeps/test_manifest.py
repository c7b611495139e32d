"""The manifest of a sweep: the last line of a hash counts, whoever wrote it and however its writer ended."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from mentor.conf_dir import conf_dir
from mentor.errors import InputError
from mentor.sweeps.manifest import ManifestEntry, read_manifest, record

WRITER = """
import sys
from pathlib import Path
from mentor.sweeps.manifest import ManifestEntry, record
for number in range(50):
    record(Path(sys.argv[1]), ManifestEntry(f"{sys.argv[2]}-{number}", "p" * 500, {}, "running"))
"""


def point(hashed: str, status: str, **more) -> ManifestEntry:
    return ManifestEntry(hashed, f"seed={hashed}", {"seed": hashed, "reward.weights.tool": 0.1}, status, **more)


def test_the_last_line_of_a_hash_counts(tmp_path: Path):
    sweep = tmp_path / "sweeps" / "12345678"
    assert read_manifest(sweep) == {}
    done = point("a", "done", headline={"name": "reward/correct", "value": 0.5})
    failed = point("b", "failed", error="stage=rl failed")
    for event in (point("a", "running"), point("b", "running"), failed, done):
        record(sweep, event)
    assert read_manifest(sweep) == {"a": done, "b": failed}
    rows = [json.loads(line) for line in (sweep / "manifest.jsonl").read_text().splitlines()]
    assert [(row["hash"], row["status"]) for row in rows] == [
        ("a", "running"), ("b", "running"), ("b", "failed"), ("a", "done"),
    ]  # fmt: skip
    assert rows[-1].keys() == {"time", "hash", "point", "overrides", "status", "headline", "error"}


def test_a_half_written_last_line_is_nothing_and_the_next_writer_removes_it(tmp_path: Path):
    record(tmp_path, point("a", "running"))
    path = tmp_path / "manifest.jsonl"
    with path.open("a") as file:
        file.write('{"hash": "a", "sta')
    assert read_manifest(tmp_path)["a"].status == "running"
    record(tmp_path, point("a", "done"))
    assert read_manifest(tmp_path)["a"].status == "done" and len(path.read_text().splitlines()) == 2


def test_any_other_unreadable_line_is_named(tmp_path: Path):
    record(tmp_path, point("a", "running"))
    path = tmp_path / "manifest.jsonl"
    path.write_text("nonsense\n" + path.read_text())
    with pytest.raises(InputError, match="manifest.jsonl:1: not a JSON object"):
        read_manifest(tmp_path)


def test_writers_at_the_same_time_lose_nothing(tmp_path: Path):
    command = [sys.executable, "-c", WRITER, str(tmp_path)]
    writers = [subprocess.Popen([*command, str(number)], cwd=conf_dir().parent) for number in range(3)]
    assert [writer.wait() for writer in writers] == [0, 0, 0]
    assert len(read_manifest(tmp_path)) == 150
