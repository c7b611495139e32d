"""Append, read back, torn lines, roll back."""

import tracemalloc

import pytest

from mentor.errors import InputError, StorageError
from mentor.jsonl import BLOCK, JsonlWriter, drop_torn_line, read_jsonl, roll_back, to_line


def test_each_record_is_one_compact_line_and_on_disk_at_once(tmp_path):
    path = tmp_path / "new/rows.jsonl"
    with JsonlWriter(path) as writer:
        writer.write({"text": "é\n", "n": [1, 2]})
        assert path.read_text() == '{"text":"é\\n","n":[1,2]}\n'
    with JsonlWriter(path) as writer:
        writer.write({"step": 1})
    assert list(read_jsonl(path)) == [{"text": "é\n", "n": [1, 2]}, {"step": 1}]


def test_half_written_last_line_is_dropped_and_reported_by_reader_and_writer(tmp_path):
    path, told = tmp_path / "rows.jsonl", []
    path.write_text('{"step":0}\n{"step":1}\n{"step":2,"te')
    assert [row["step"] for row in read_jsonl(path, told.append)] == [0, 1]
    with JsonlWriter(path, told.append) as writer:
        writer.write({"step": 2})
    assert path.read_text() == '{"step":0}\n{"step":1}\n{"step":2}\n'
    assert told == [
        f"{path}:3: dropped a half-written last line (13 bytes)",
        f"{path}: dropped a half-written last line (13 bytes)",
    ]


def test_whole_last_line_without_line_end_is_kept(tmp_path):
    path = tmp_path / "rows.jsonl"
    path.write_text('{"step":0}')
    assert list(read_jsonl(path)) == [{"step": 0}]
    with JsonlWriter(path) as writer:
        writer.write({"step": 1})
    assert [row["step"] for row in read_jsonl(path)] == [0, 1]


@pytest.mark.parametrize("line", ["{oops", "[1]", "\udcff"])
def test_corrupt_line_in_the_middle_is_named(tmp_path, line):
    path = tmp_path / "rows.jsonl"
    path.write_bytes(f'{{"step":0}}\n{line}\n{{"step":2}}\n'.encode(errors="surrogateescape"))
    with pytest.raises(InputError, match=r"rows\.jsonl:2: not a JSON object"):
        list(read_jsonl(path))


@pytest.mark.parametrize("length", [1, BLOCK - 1, BLOCK, BLOCK + 1, 3 * BLOCK])
@pytest.mark.parametrize("before", ["", '{"step":0}\n'])
def test_a_last_line_of_any_length_is_ended_or_cut(tmp_path, before, length):
    path, told = tmp_path / "rows.jsonl", []
    torn = '{"text":"' + "x" * length
    path.write_text(before + torn)
    drop_torn_line(path, told.append)
    assert path.read_text() == before
    assert told == [f"{path}: dropped a half-written last line ({length + 9} bytes)"]
    path.write_text(before + torn + '"}')
    drop_torn_line(path, told.append)
    drop_torn_line(path, told.append)
    assert path.read_text() == before + torn + '"}\n'
    assert len(told) == 1


def test_a_long_file_is_opened_and_rolled_back_without_being_held(tmp_path):
    path = tmp_path / "rl.jsonl"
    line = to_line({"step": 1, "text": "x" * 10_000})
    path.write_text(line * 1_000 + '{"step":2}\n' + line + '{"st')
    (tmp_path / "rl.rolled_back.jsonl").write_text(line * 1_000)
    tracemalloc.start()
    with JsonlWriter(path, lambda _: None):
        pass
    opened = tracemalloc.get_traced_memory()[1]
    assert roll_back(path, 1) == 1
    rolled_back = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert max(opened, rolled_back) < 1_000_000  # of 10 MB in each file
    assert path.stat().st_size == 1_001 * len(line)


def test_roll_back_moves_later_records_and_can_be_repeated(tmp_path):
    path = tmp_path / "rl.jsonl"
    path.write_text('{"a":1}\n{"step":1}\n{"step":2}\n{"step":3}\n{"step":2}\n{"st')
    told = []
    assert roll_back(path, 1, told.append) == 3
    assert len(told) == 1
    assert path.read_text() == '{"a":1}\n{"step":1}\n'
    aside = tmp_path / "rl.rolled_back.jsonl"
    assert aside.read_text() == '{"step":2}\n{"step":3}\n{"step":2}\n'
    assert roll_back(path, 1) == 0 and roll_back(tmp_path / "none.jsonl", 1) == 0
    assert roll_back(path, 0) == 1
    assert aside.read_text().count("\n") == 4
    assert sorted(entry.name for entry in tmp_path.iterdir()) == ["rl.jsonl", "rl.rolled_back.jsonl"]


def test_a_roll_back_that_a_crash_cut_short_moves_no_record_twice(tmp_path):
    """The crash came after the first of two records was aside, before the file was replaced."""
    path, aside = tmp_path / "rl.jsonl", tmp_path / "rl.rolled_back.jsonl"
    path.write_text('{"step":1}\n{"step":2}\n{"step":3}\n')
    aside.write_text('{"step":9}\n{"step":2}\n')
    assert roll_back(path, 1) == 2
    assert aside.read_text() == '{"step":9}\n{"step":2}\n{"step":3}\n'


@pytest.mark.parametrize(
    ("stored", "added"),
    [
        ([1, 3], [2, 3]),  # it does not end with the first of the two
        ([1, 2], [3]),
        ([2, 3], []),
        ([2, 2], [3]),
        ([2, 3, 2], [3]),
        ([2, 3, 9], [2, 3]),
    ],
)
def test_only_first_records_at_the_end_were_moved_by_an_earlier_try(tmp_path, stored, added):
    path, aside = tmp_path / "rl.jsonl", tmp_path / "rl.rolled_back.jsonl"
    path.write_text('{"step":2}\n{"step":3}\n')
    aside.write_text("".join(to_line({"step": step}) for step in stored))
    assert roll_back(path, 1) == 2
    assert [row["step"] for row in read_jsonl(aside)] == stored + added


def test_records_of_a_deleted_file_are_refused(tmp_path):
    path = tmp_path / "rows.jsonl"
    with JsonlWriter(path) as writer:
        path.unlink()
        with pytest.raises(StorageError, match=r"rows\.jsonl was deleted or moved while it was being written"):
            writer.write({"step": 1})


def test_a_line_holds_text_as_it_is():
    assert to_line({"text": "é\n", "n": None}) == '{"text":"é\\n","n":null}\n'
