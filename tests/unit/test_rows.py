"""Files of rows: what is read, the fields of a row, and one clear line for what cannot be read."""

import gzip
import tracemalloc

import pytest

from mentor.errors import InputError
from mentor.rows import answer_field, describe, json_field, parse_row, read_rows, text_field, without_nulls
from mentor.tasks import load_tasks
from tests.unit.tasks.builders import ROW


def test_unusable_files(tmp_path):
    whole = gzip.compress(b'{"question": "q", "answer": "5"}\n' * 500)
    (tmp_path / "cut.jsonl.gz").write_bytes(whole[:-30])
    (tmp_path / "plain.jsonl.gz").write_text("{}")
    (tmp_path / "empty.jsonl").write_text("\n \n")
    (tmp_path / "latin.jsonl").write_bytes(b'{"question": "caf\xe9"}')
    (tmp_path / "rows.parquet").write_text("not parquet")
    for name, words in {
        "cut.jsonl.gz": "corrupt gzip",
        "plain.jsonl.gz": "corrupt gzip",
        "empty.jsonl": "the file holds no rows",
        "latin.jsonl": "not UTF-8 text (byte 17)",
        "rows.parquet": "not a parquet file",
        "none.jsonl": "task.path=",
        ".": "a folder, accepted: a JSONL",
    }.items():
        with pytest.raises(InputError) as caught:
            load_tasks("jsonl", path=str(tmp_path / name))
        assert words in str(caught.value) and "\n" not in str(caught.value)


def test_parquet_rows(tmp_path):
    parquet = pytest.importorskip("pyarrow.parquet")
    import pyarrow

    parquet.write_table(pyarrow.Table.from_pylist([ROW, {**ROW, "answer": "6"}]), tmp_path / "rows.parquet")
    assert [task.answer for task in load_tasks("jsonl", path=str(tmp_path / "rows.parquet"))] == [("5",), ("6",)]


@pytest.mark.parametrize(
    "line, reason",
    [
        (r'{"question": "\ud800", "answer": "1"}', "half of a surrogate pair"),
        ('{"question": "q", "answer": ' + "9" * 5000 + "}", "4300 digits"),
    ],
)
def test_json_that_python_cannot_hold_or_write_is_bad_input(line: str, reason: str) -> None:
    with pytest.raises(InputError, match=reason):
        parse_row(line, "rows.jsonl:1")


def test_an_integer_too_large_for_a_float_is_an_answer() -> None:
    assert answer_field({"answer": 10**400}, "answer", "rows.jsonl:1") == (str(10**400),)


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


def test_fields_and_how_a_value_is_described():
    assert text_field({"q": " a "}, "q", "f:1") == " a "
    assert answer_field({"a": [" x ", 2, 2.0, 2.5]}, "a", "f:1") == ("x", "2", "2", "2.5")
    assert json_field("[1]", "f:1: calls", "a list") == [1]
    with pytest.raises(InputError, match=r'^f:1: calls is a string \("\["\): not JSON .*, accepted: a list$'):
        json_field("[", "f:1: calls", "a list")
    assert without_nulls({"a": None, "b": [{"c": None, "d": 0}]}) == {"b": [{"d": 0}]}
    assert [describe(value) for value in (None, True, {"k": "é"})] == [
        "null",
        "a boolean (true)",
        'an object ({"k": "é"})',
    ]
    assert describe("x" * 50) == 'a string ("' + "x" * 39 + "…)"
