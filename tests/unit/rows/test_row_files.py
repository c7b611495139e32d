"""Files of rows: what is read, and one clear line for what cannot be read."""

import gzip
import tracemalloc

import pytest

from mentor.errors import InputError
from mentor.rows import read_rows
from mentor.tasks import load_tasks
from tests.unit.tasks.builders import ROW


def test_unusable_files(tmp_path):
    whole = gzip.compress(b'{"question": "q", "answer": "5"}\n' * 500)
    (tmp_path / "cut.jsonl.gz").write_bytes(whole[:-30])
    (tmp_path / "plain.jsonl.gz").write_text("{}")
    (tmp_path / "empty.jsonl").write_text("\n \n")
    (tmp_path / "latin.jsonl").write_bytes(b'{"question": "caf\xe9"}')
    (tmp_path / "rows.parquet").write_text("not parquet")
    (tmp_path / "rows.arrow").write_text("not arrow")
    (tmp_path / "rows.csv").write_text('question,answer\n"q,5\n')
    for name, words in {
        "cut.jsonl.gz": "corrupt gzip",
        "plain.jsonl.gz": "corrupt gzip",
        "empty.jsonl": "the file holds no rows",
        "latin.jsonl": "not UTF-8 text (byte 17)",
        "rows.parquet": "not a parquet file",
        "rows.arrow": "not an arrow file",
        "rows.csv": "rows.csv:2: not CSV (",
        "none.jsonl": "task.path=",
    }.items():
        with pytest.raises(InputError) as caught:
            load_tasks("jsonl", path=str(tmp_path / name))
        assert words in str(caught.value) and "\n" not in str(caught.value)


def test_parquet_rows(tmp_path):
    parquet = pytest.importorskip("pyarrow.parquet")
    import pyarrow

    parquet.write_table(pyarrow.Table.from_pylist([ROW, {**ROW, "answer": "6"}]), tmp_path / "rows.parquet")
    assert [task.answer for task in load_tasks("jsonl", path=str(tmp_path / "rows.parquet"))] == [("5",), ("6",)]


def test_rows_of_lines_and_of_a_list_with_their_places(tmp_path):
    lines, listed = tmp_path / "a.jsonl", tmp_path / "b.json"
    lines.write_text('\ufeff{"a": 1}\n\n{"a": 2}\n')
    listed.write_text('[{"a": 1},\n {"a": 2}]')
    assert list(read_rows(lines, "task.path")) == [(f"{lines}:1", {"a": 1}), (f"{lines}:3", {"a": 2})]
    assert list(read_rows(listed, "task.path")) == [(f"{listed}:1", {"a": 1}), (f"{listed}:2", {"a": 2})]
    listed.write_text('[{"a": 1}')
    with pytest.raises(InputError, match=r"b\.json: not JSON \(.*\), accepted: a list of objects, or one a line"):
        list(read_rows(listed, "task.path"))


@pytest.mark.parametrize("name", ["rows.jsonl", "rows.jsonl.gz", "rows.parquet"])
def test_a_large_file_is_read_without_being_held(tmp_path, name):
    path = tmp_path / name
    texts = (str(number) * 2_000 for number in range(1_000, 3_000))
    if name.endswith("parquet"):
        parquet = pytest.importorskip("pyarrow.parquet")
        import pyarrow

        parquet.write_table(pyarrow.table({"text": list(texts)}), path, row_group_size=100)
    else:
        with gzip.open(path, "wt") if name.endswith("gz") else path.open("w") as file:
            file.writelines(f'{{"text": "{text}"}}\n' for text in texts)
    tracemalloc.start()
    rows, last = 0, None
    for place, row in read_rows(path, "task.path"):
        rows, last = rows + 1, (place, len(row["text"]))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert (rows, last) == (2_000, (f"{path}:2000", 8_000))
    assert peak < 6_000_000  # of 16 MB


def test_a_bad_byte_is_counted_from_the_start_of_the_file(tmp_path):
    (tmp_path / "a.jsonl").write_bytes(b'{"a": 1}\n\n{"a": "\xe9"}\n')
    with pytest.raises(InputError, match=r"a\.jsonl: not UTF-8 text \(byte 17\)"):
        list(read_rows(tmp_path / "a.jsonl", "task.path"))


def test_csv_cells_are_text_and_empty_ones_are_left_out(tmp_path):
    path = tmp_path / "rows.csv"
    path.write_text('id,question,answer,reference\n007,"a ""b"",\nc",5,\n\n8,d,6.5,[]\n9,e,1,2,3\n')
    bad = []
    rows = list(read_rows(path, "task.path", bad.append))
    assert rows == [
        (f"{path}:3", {"id": "007", "question": 'a "b",\nc', "answer": "5"}),
        (f"{path}:5", {"id": "8", "question": "d", "answer": "6.5", "reference": "[]"}),
    ]
    assert [str(error) for error in bad] == [f"{path}:6: 5 cells, accepted: at most the 4 of the first line"]
    tabs = tmp_path / "rows.tsv.gz"
    tabs.write_bytes(gzip.compress(b"question\tanswer\nq\t" + b"5" * 200_000))
    assert [len(row["answer"]) for _, row in read_rows(tabs, "task.path")] == [200_000]


def test_arrow_of_both_formats(tmp_path):
    pyarrow = pytest.importorskip("pyarrow")
    table = pyarrow.Table.from_pylist([{**ROW, "answer": str(number)} for number in range(600)])
    for name, new in (("stream", pyarrow.ipc.new_stream), ("file", pyarrow.ipc.new_file)):
        path = tmp_path / f"{name}.arrow"
        with new(path, table.schema) as writer:
            writer.write_table(table)
        rows = list(read_rows(path, "task.path"))
        assert len(rows) == 600 and rows[-1] == (f"{path}:600", {**ROW, "answer": "599"})


@pytest.mark.parametrize("name", ["rows.jsonl", "rows.parquet", "rows.json"])
def test_a_git_lfs_pointer_is_named_with_its_size(tmp_path, name):
    path = tmp_path / name
    path.write_text(f"version https://git-lfs.github.com/spec/v1\noid sha256:{'0' * 64}\nsize 4521\n")
    with pytest.raises(InputError, match="a Git LFS pointer, whose 4521 bytes are elsewhere"):
        load_tasks("jsonl", path=str(path))


def test_a_bad_line_is_told_and_the_next_one_is_read(tmp_path):
    path, bad = tmp_path / "rows.jsonl", []
    path.write_text('{"a": 1}\n{"a": 2\n[3]\n{"a": 4}\n')
    assert [row for _, row in read_rows(path, "task.path", bad.append)] == [{"a": 1}, {"a": 4}]
    assert [str(error).partition(" (")[0] for error in bad] == [f"{path}:2: not JSON", f"{path}:3: a list"]
