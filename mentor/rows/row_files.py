"""Rows of a local file, each with its place for error messages: JSONL, JSON, CSV, TSV, parquet or arrow.

JSONL, JSON and CSV may be compressed with gzip. One row is held at a time (of parquet and arrow a batch); of a `.json`
file that holds one list, all of it.
"""

from __future__ import annotations

import csv
import gzip
import json
import sys
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from mentor.errors import InputError
from mentor.rows.row_fields import Row, parse_row

GZIP_MAGIC = b"\x1f\x8b"
POINTER = b"version https://git-lfs.github.com/spec/"
BATCH_ROWS = 256  # of parquet that are held at a time
ACCEPTED = "a JSONL, JSON or CSV file (plain or gzip), parquet or arrow"

Placed = tuple[str, Row]
OnBad = Callable[[InputError], None]
"""Is told of a row that cannot be read; the rows behind it are read on."""


def read_rows(path: Path, key: str, on_bad: OnBad | None = None) -> Iterator[Placed]:
    """Yield `(place, row)` of every row that is not empty; `place` is `path:line`, `key` the config key of the path.

    on_bad: None raises for the first bad row. Raises InputError for a missing or empty file, a Git LFS pointer, corrupt
    gzip, and text that is not UTF-8.
    """
    if not path.is_file():
        found = "a folder" if path.is_dir() else "no such file"
        raise InputError(f"{key}={path}: {found}, accepted: {ACCEPTED}")
    _refuse_pointer(path)
    empty = True
    for place, row in _rows(path):
        empty = False
        if isinstance(row, dict):
            yield place, row
        elif on_bad is None:
            raise row
        else:
            on_bad(row)
    if empty:
        raise InputError(f"{path}: the file holds no rows")


def _rows(path: Path) -> Iterator[tuple[str, Row | InputError]]:
    if path.suffix == ".parquet":
        return _parquet_rows(path)
    if path.suffix == ".arrow":
        return _arrow_rows(path)
    if {".csv", ".tsv"} & set(path.suffixes):
        return _csv_rows(path, "\t" if ".tsv" in path.suffixes else ",")
    return _json_rows(path)


def _refuse_pointer(path: Path) -> None:
    """Raise InputError for the text that Git leaves where `git lfs` has not fetched a file."""
    with path.open("rb") as file:
        head = file.read(1024)
    if not head.startswith(POINTER):
        return
    sizes = [line[5:].decode(errors="replace") for line in head.splitlines() if line.startswith(b"size ")]
    size = f"{sizes[0]} bytes" if sizes else "the content"
    raise InputError(
        f"{path}: a Git LFS pointer, whose {size} are elsewhere; accepted: the file itself (`git lfs pull`)"
    )


# --- text ------------------------------------------------------------------------------------------------------------


def _json_rows(path: Path) -> Iterator[tuple[str, Row | InputError]]:
    """One object a line, or the objects of the list that a `.json` file holds; `number` then counts these."""
    lines = _lines(path)
    if ".json" in path.suffixes and next((line.lstrip()[0] for line in _lines(path) if line.strip()), "") == "[":
        lines = (json.dumps(entry, ensure_ascii=False) for entry in _json_list(path, "".join(_lines(path))))
    for number, line in enumerate(lines, start=1):
        if line.strip():
            place = f"{path}:{number}"
            try:
                row: Row | InputError = parse_row(line, place)
            except InputError as error:
                row = error
            yield place, row


def _json_list(path: Path, text: str) -> list[Any]:
    try:
        return list(json.loads(text))
    except (ValueError, RecursionError) as error:
        raise InputError(f"{path}: not JSON ({str(error)[:80]}), accepted: a list of objects, or one a line") from None


def _csv_rows(path: Path, delimiter: str) -> Iterator[tuple[str, Row | InputError]]:
    """Values are text; an empty cell is a key that the row lacks. The first line holds the keys."""
    csv.field_size_limit(sys.maxsize)  # of a cell; the default refuses long texts
    reader = csv.reader(_lines(path), delimiter=delimiter, strict=True)
    names = next(reader, [])
    while True:
        try:
            cells = next(reader, None)
        except csv.Error as error:
            raise InputError(
                f"{path}:{reader.line_num}: not CSV ({error}), accepted: a line of keys, then rows"
            ) from None
        if cells is None:
            return
        place = f"{path}:{reader.line_num}"
        if len(cells) > len(names):
            yield (
                place,
                InputError(f"{place}: {len(cells)} cells, accepted: at most the {len(names)} of the first line"),
            )
        elif any(cell.strip() for cell in cells):
            yield place, {name: cell for name, cell in zip(names, cells, strict=False) if cell.strip()}


def _lines(path: Path) -> Iterator[str]:
    """Yield the lines of a plain or gzip file. Raises InputError for corrupt gzip and text that is not UTF-8."""
    with path.open("rb") as file:
        compressed = path.suffix == ".gz" or file.read(len(GZIP_MAGIC)) == GZIP_MAGIC
    place = 0
    try:
        with gzip.open(path) if compressed else path.open("rb") as file:
            for line in file:
                yield line.decode("utf-8" if place else "utf-8-sig")
                place += len(line)
    except (gzip.BadGzipFile, EOFError, zlib.error) as error:
        raise InputError(f"{path}: corrupt gzip ({error})") from None
    except UnicodeDecodeError as error:
        raise InputError(f"{path}: not UTF-8 text (byte {place + error.start}), accepted: {ACCEPTED}") from None


# --- columns ---------------------------------------------------------------------------------------------------------


def _parquet_rows(path: Path) -> Iterator[tuple[str, Row | InputError]]:
    import pyarrow  # type: ignore[import-untyped]  # comes with `datasets`
    import pyarrow.parquet  # type: ignore[import-untyped]

    try:
        with pyarrow.parquet.ParquetFile(path) as file:
            yield from _batches(path, file.iter_batches(batch_size=BATCH_ROWS))
    except (pyarrow.ArrowException, OSError) as error:
        raise InputError(f"{path}: not a parquet file ({str(error).splitlines()[0]})") from None


def _arrow_rows(path: Path) -> Iterator[tuple[str, Row | InputError]]:
    """Of both formats: the stream, which `datasets` writes, and the file."""
    import pyarrow

    try:
        with pyarrow.memory_map(str(path)) as source:
            try:
                reader = pyarrow.ipc.open_stream(source)
                batches = iter(reader)
            except pyarrow.ArrowInvalid:
                whole = pyarrow.ipc.open_file(source)
                batches = (whole.get_batch(number) for number in range(whole.num_record_batches))
            parts = (batch.slice(start, BATCH_ROWS) for batch in batches for start in range(0, len(batch), BATCH_ROWS))
            yield from _batches(path, parts)
    except (pyarrow.ArrowException, OSError) as error:
        raise InputError(f"{path}: not an arrow file ({str(error).splitlines()[0]})") from None


def _batches(path: Path, batches: Iterator[Any]) -> Iterator[tuple[str, Row]]:
    number = 0
    for batch in batches:
        for row in batch.to_pylist():
            number += 1
            yield f"{path}:{number}", row
