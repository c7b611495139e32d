"""What holds the rows: a file, a folder of shards or of a Hub data set (splits, configurations), or a name on the Hub.

`datasets` says which files of a folder are a split, from its README or the files' names; what it wrote itself with
`save_to_disk` is read as well.
"""

from __future__ import annotations

import json
import re
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from mentor.errors import InputError, one_line
from mentor.rows.row_files import OnBad, Placed, read_rows

HUB_NAME = re.compile(r"[\w-][\w.-]*/[\w-][\w.-]*")
FILE_SUFFIXES = (".jsonl", ".json", ".gz", ".parquet", ".arrow", ".csv", ".tsv", ".txt")
SAVED_DATASET, SAVED_SPLITS = "state.json", "dataset_dict.json"  # of save_to_disk


def is_hub_name(path: str) -> bool:
    """Whether a path names a data set of the Hub: `owner/name`, and nothing here."""
    return not Path(path).exists() and bool(HUB_NAME.fullmatch(path)) and not path.endswith(FILE_SUFFIXES)


def has_splits(path: str) -> bool:
    """Whether a path holds splits to choose from; a file is one split, whatever it is called."""
    return is_hub_name(path) or Path(path).is_dir()


def fills_nulls(place: str) -> bool:
    """Whether rows of this place have a null under each key that only other rows have."""
    path = place.rpartition(":")[0]
    return path.endswith((".parquet", ".arrow")) or not path.endswith(FILE_SUFFIXES)


def source_rows(path: str, split: str, subset: str | None, key: str, on_bad: OnBad | None = None) -> Iterator[Placed]:
    """Yield `(place, row)` of a split; all of a file.

    subset: the configuration of a data set that has several; None takes its default. key: the config key of the path.
    on_bad: as for `read_rows`. Raises InputError for what cannot be read, a subset or a split that is not there, naming
    those that are.
    """
    if is_hub_name(path):
        yield from _hub_rows(path, split, subset, key)
    elif Path(path).is_dir():
        for file in split_files(Path(path), split, subset, key):
            yield from read_rows(file, key, on_bad)
    elif subset is not None:
        raise InputError(f"{key}={path}: a file has no subset {subset!r}; accepted: a folder or a name of the Hub")
    else:
        yield from read_rows(Path(path), key, on_bad)


def split_files(folder: Path, split: str, subset: str | None, key: str) -> list[Path]:
    """List the files of one split of a folder, in order."""
    saved = _saved_files(folder, split, key)
    if saved is not None:
        return saved
    from datasets import load_dataset_builder  # type: ignore[import-untyped]
    from datasets.data_files import EmptyDatasetError  # type: ignore[import-untyped]

    with tempfile.TemporaryDirectory() as scratch:  # for its lock files alone
        try:
            found = load_dataset_builder(str(folder), subset, cache_dir=scratch).config.data_files
        except EmptyDatasetError:
            raise InputError(f"{key}={folder}: a folder without files of rows, accepted: {FILE_SUFFIXES}") from None
        except (OSError, ValueError) as error:
            raise InputError(f"{key}={folder}: no data set ({one_line(error, 200)})") from None
    splits = {str(name): files for name, files in found.items()}
    if split not in splits:
        raise _no_split(key, str(folder), split, splits)
    return [Path(file) for file in splits[split]]


def _saved_files(folder: Path, split: str, key: str) -> list[Path] | None:
    """The files of a data set that `save_to_disk` wrote; None for any other folder."""
    if (folder / SAVED_SPLITS).is_file():
        splits = json.loads((folder / SAVED_SPLITS).read_text(encoding="utf-8"))["splits"]
        if split not in splits:
            raise _no_split(key, str(folder), split, splits)
        folder = folder / split
    if not (folder / SAVED_DATASET).is_file():
        return None
    listed = json.loads((folder / SAVED_DATASET).read_text(encoding="utf-8"))["_data_files"]
    return [folder / entry["filename"] for entry in listed]


def _no_split(key: str, path: str, split: str, splits: Any) -> InputError:
    return InputError(f"{key}={path}: no split {split!r}; accepted: {', '.join(splits)}")


def _hub_rows(name: str, split: str, subset: str | None, key: str) -> Iterator[Placed]:
    """Rows of a data set of the Hub, which `datasets` fetches and keeps in its cache."""
    import httpx
    from datasets import load_dataset

    try:
        dataset = load_dataset(name, subset, split=split)
    except (OSError, ValueError, httpx.HTTPError) as error:
        reason = one_line(error, 200)
        raise InputError(f"{key}={name}: neither a local file nor readable from the hub ({reason})") from None
    for number, row in enumerate(dataset, start=1):
        yield f"{name}:{number}", dict(row)
