"""Rows of a local file (plain or gzip JSONL, parquet), each with its place for error messages, for the task loaders."""

from __future__ import annotations

import gzip
import json
import math
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from mentor.errors import InputError

Row = dict[str, Any]
GZIP_MAGIC = b"\x1f\x8b"
PARQUET_ROWS = 256  # that are held at a time


def read_rows(path: Path, key: str) -> Iterator[tuple[str, Row]]:
    """Yield `(place, row)` of every non-empty line; `place` is `path:line`, `key` the config key that gave the path.

    One row is held at a time; of a `.json` file that holds one list, all of it.

    Raises InputError for a missing or empty file, corrupt gzip, text that is not UTF-8, or a line that is no object.
    """
    if not path.is_file():
        found = "a folder" if path.is_dir() else "no such file"
        raise InputError(f"{key}={path}: {found}, accepted: a JSONL (plain or gzip) or parquet file")
    empty = True
    for place_and_row in _parquet_rows(path) if path.suffix == ".parquet" else _json_rows(path):
        empty = False
        yield place_and_row
    if empty:
        raise InputError(f"{path}: the file holds no rows")


def _json_rows(path: Path) -> Iterator[tuple[str, Row]]:
    """One object a line, or the objects of the list that a `.json` file holds; `number` then counts these."""
    lines = _lines(path)
    if ".json" in path.suffixes and next((line.lstrip()[0] for line in _lines(path) if line.strip()), "") == "[":
        lines = (json.dumps(entry, ensure_ascii=False) for entry in _json_list(path, "".join(_lines(path))))
    for number, line in enumerate(lines, start=1):
        if line.strip():
            yield f"{path}:{number}", parse_row(line, f"{path}:{number}")


def _json_list(path: Path, text: str) -> list[Any]:
    try:
        return list(json.loads(text))
    except (ValueError, RecursionError) as error:
        raise InputError(f"{path}: not JSON ({str(error)[:80]}), accepted: a list of objects, or one a line") from None


def parse_row(line: str, place: str) -> Row:
    """Parse one JSON object; InputError names `place` otherwise."""
    row = _from_json(line, place, "one JSON object a line")
    if not isinstance(row, dict):
        raise InputError(f"{place}: {describe(row)} instead of a row, accepted: one JSON object a line")
    return row


def _from_json(text: str, place: str, accepted: str) -> Any:
    try:
        value = json.loads(text)
        if r"\ud" in text.lower():  # half of a surrogate pair would be refused only when it is written again
            json.dumps(value, ensure_ascii=False).encode()
    except json.JSONDecodeError as error:
        reason = f"not JSON ({error.msg} at column {error.colno})"
    except UnicodeEncodeError:
        reason = "holds half of a surrogate pair"
    except (RecursionError, ValueError) as error:  # ValueError: an integer of more than 4,300 digits
        reason = "nested too deep" if isinstance(error, RecursionError) else str(error).split(";")[0]
    else:
        return value
    raise InputError(f"{place}: {reason}, accepted: {accepted}")


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
        raise InputError(f"{path}: not UTF-8 text (byte {place + error.start}), accepted: JSONL, parquet") from None


def _parquet_rows(path: Path) -> Iterator[tuple[str, Row]]:
    import pyarrow  # type: ignore[import-untyped]  # comes with `datasets`
    import pyarrow.parquet  # type: ignore[import-untyped]

    number = 0
    try:
        with pyarrow.parquet.ParquetFile(path) as file:
            for batch in file.iter_batches(batch_size=PARQUET_ROWS):
                for row in batch.to_pylist():
                    number += 1
                    yield f"{path}:{number}", row
    except (pyarrow.ArrowException, OSError) as error:
        raise InputError(f"{path}: not a parquet file ({str(error).splitlines()[0]})") from None


# --- fields of a row -------------------------------------------------------------------------------------------------


def text_field(row: Row, key: str, place: str) -> str:
    """Return a non-blank string; InputError names the place, the key, what was given and what is accepted."""
    if key not in row:
        raise InputError(f"{place}: no key {key!r}, given: {', '.join(map(repr, row)) or 'no keys'}")
    value = row[key]
    if not isinstance(value, str):
        raise InputError(f"{place}: {key} is {describe(value)}, accepted: a string")
    if not value.strip():
        raise InputError(f"{place}: {key} is empty, accepted: a string with text")
    return value


def without_nulls(value: Any) -> Any:
    """Drop null values: parquet fills the keys with them that only other rows have."""
    if isinstance(value, dict):
        return {key: without_nulls(below) for key, below in value.items() if below is not None}
    return [without_nulls(below) for below in value] if isinstance(value, list) else value


def json_field(text: str, where: str, accepted: str) -> Any:
    """Parse a field that holds JSON text; InputError names the field, what was given and what is accepted."""
    return _from_json(text, f"{where} is {describe(text)}", accepted)


def answer_field(row: Row, key: str, place: str) -> tuple[str, ...]:
    """Return the accepted answers as strings, from a string, a number or a list of them."""
    if key not in row:
        raise InputError(f"{place}: no key {key!r}, given: {', '.join(map(repr, row)) or 'no keys'}")
    value = row[key]
    entries = value if isinstance(value, list) and value else [value]
    return tuple(_answer_text(entry, key, place) for entry in entries)


def _answer_text(value: Any, key: str, place: str) -> str:
    if isinstance(value, str) and value.strip():
        return value.strip()
    if isinstance(value, int) and not isinstance(value, bool):
        return str(value)
    if isinstance(value, float) and math.isfinite(value):
        return str(int(value) if value.is_integer() else value)
    raise InputError(f"{place}: {key} is {describe(value)}, accepted: a string or a number, or a list of them")


def describe(value: Any) -> str:
    """Describe a value in short, with its JSON type."""
    kind = {
        type(None): "null",
        bool: "a boolean",
        int: "a number",
        float: "a number",
        str: "a string",
        list: "a list",
        dict: "an object",
    }.get(type(value), type(value).__name__)
    text = json.dumps(value, ensure_ascii=False, default=str)
    return kind if value is None else f"{kind} ({text if len(text) <= 40 else text[:40] + '…'})"
