"""`search` over a corpus of passages: BM25 (bm25s), the index built once for a file and cached.

corpus file -> passages -> index -> **search(query, top_k)** -> numbered passages as text. It has no
side effects, so it runs in this process.
"""

from __future__ import annotations

import gzip
import hashlib
import json
import os
import shutil
import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from mentor.errors import InputError
from mentor.rows import describe, read_rows

ACCEPTED = "rows of {title, text} or {contents}, as JSONL; or one JSON object of title: sentences, or list of such rows"
MAX_TOP_K = 20
INDEX_VERSION = 1
SEARCH_SCHEMA: dict[str, Any] = {
    "type": "function",
    "function": {
        "name": "search",
        "description": "Search the passages of the corpus and return those that fit the query best.",
        "parameters": {
            "type": "object",
            "properties": {
                "query": {"type": "string", "description": "What to look for, in words."},
                "top_k": {
                    "type": "integer",
                    "minimum": 1,
                    "maximum": MAX_TOP_K,
                    "description": "How many passages to return.",
                },
            },
            "required": ["query"],
        },
    },
}


@dataclass(frozen=True)
class Passage:
    title: str
    text: str

    def __str__(self) -> str:
        return f"{self.title}\n{self.text}" if self.title else self.text


class Corpus:
    """The passages of a file and their index. Raises InputError naming the file or its row."""

    def __init__(self, path: str | Path, top_k: int = 3, cache: Path | None = None) -> None:
        self.path, self.top_k = Path(path), top_k
        self.passages = list(read_passages(self.path))
        if not self.passages:
            raise InputError(f"tools.path={path}: the corpus has no passage, accepted: {ACCEPTED}")
        self._cache = cache or default_cache()

    def prepare(self) -> None:
        """Build or load the index now, so that the first search takes no longer than the others."""
        self.search(self.passages[0].text, 1)

    def search(self, query: str, top_k: int | None = None) -> list[Passage]:
        """Find the best passages, best first; each shares a word with the query."""
        import bm25s

        words = bm25s.tokenize(query, stopwords="en", stemmer=stemmer(), return_ids=False, show_progress=False)
        if not words[0]:
            return []
        count = min(top_k or self.top_k, len(self.passages))
        found, scores = self._index.retrieve(words, k=count, show_progress=False, n_threads=0)
        return [self.passages[i] for i, score in zip(found[0], scores[0], strict=True) if score > 0]

    def answer(self, query: str, top_k: int | None = None) -> str:
        """Search and number the passages for the model: `[1] title`, its text, and so on."""
        found = self.search(query, top_k)
        return "\n\n".join(f"[{number}] {passage}" for number, passage in enumerate(found, start=1)) or "nothing found"

    @cached_property
    def _index(self) -> Any:
        import bm25s

        folder = self._cache / f"{self._fingerprint()}.bm25"
        if not folder.is_dir():
            self._build(folder)
        return bm25s.BM25.load(str(folder), load_corpus=False)

    def _build(self, folder: Path) -> None:
        """Build the index beside its place and rename it: none is left half, and two processes may build at once."""
        import bm25s

        texts = [str(passage) for passage in self.passages]
        index = bm25s.BM25()
        words = bm25s.tokenize(texts, stopwords="en", stemmer=stemmer(), show_progress=False)
        index.index(words, show_progress=False)
        folder.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=folder.parent) as scratch:
            made = Path(scratch) / "index"
            index.save(str(made), show_progress=False)
            try:
                made.rename(folder)
            except OSError:
                if not folder.is_dir():
                    raise
                shutil.rmtree(made)  # another process was faster

    def _fingerprint(self) -> str:
        digest = hashlib.sha256(f"{INDEX_VERSION}\n".encode())
        for passage in self.passages:
            digest.update(json.dumps([passage.title, passage.text]).encode())
        return digest.hexdigest()[:24]


def default_cache() -> Path:
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "mentor"


def stemmer() -> Any:
    """English stems, so that a question's `banks` finds `bank`."""
    import Stemmer

    return Stemmer.Stemmer("english")


def read_passages(path: Path) -> Iterator[Passage]:
    """Read passages from JSONL rows, or from one JSON value (plain or gzip) as HotpotQA and 2WikiMultihopQA have."""
    if ".json" in path.suffixes and path.is_file():
        whole = _json(path)
        rows = whole.items() if isinstance(whole, Mapping) else whole
        for number, row in enumerate(rows, start=1):
            entry = {"title": row[0], "text": row[1]} if isinstance(row, tuple) else row
            yield _passage(entry, f"{path}:{number}")
        return
    for place, row in read_rows(path, "tools.path"):
        yield _passage(row, place)


def _json(path: Path) -> Any:
    data = path.read_bytes()
    try:
        whole = json.loads(gzip.decompress(data) if path.suffix == ".gz" else data)
    except (OSError, EOFError, ValueError) as error:
        raise InputError(f"tools.path={path}: not JSON ({error}), accepted: {ACCEPTED}") from None
    if not isinstance(whole, Mapping | list):
        raise InputError(f"tools.path={path} is {describe(whole)}, accepted: {ACCEPTED}")
    return whole


def _passage(row: Any, place: str) -> Passage:
    if not isinstance(row, Mapping):
        raise InputError(f"{place}: {describe(row)}, accepted: {ACCEPTED}")
    title, text = row.get("title", ""), row.get("text", row.get("contents"))
    if isinstance(text, list) and all(isinstance(sentence, str) for sentence in text):
        text = " ".join(sentence.strip() for sentence in text)
    if not isinstance(title, str) or not isinstance(text, str) or not text.strip():
        raise InputError(f"{place}: title is {describe(title)}, text is {describe(text)}, accepted: {ACCEPTED}")
    return Passage(title.strip(), text.strip())
