"""tools=search: what a call gives, and its limits."""

import asyncio
import time

import pytest

from mentor.tools import build_toolset
from mentor.tools.engine import Limits
from mentor.tools.host.corpus import Corpus
from mentor.tools.host.search import SearchEngine
from mentor.types import CallError
from tests.unit.tools.host.builders import call_all, write_corpus


@pytest.fixture
def corpus(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return write_corpus(tmp_path)


def test_search_gives_the_passages_that_fit_best(corpus):
    toolset = build_toolset("search", corpus, top_k=1)
    found, more, nothing, wrong = call_all(
        toolset,
        ("search", {"query": "When was the bank Citibank founded?"}, "1"),
        ("search", {"query": "When was the bank Citibank founded?", "top_k": 3}, "1"),
        ("search", {"query": "zebra"}, None),
        ("search", {"query": "x", "top_k": 0}, None),
    )
    assert found.text == "[1] Citibank\nCitibank was founded in 1812 as the City Bank of New York."
    assert more.text.endswith("\n\n[2] Founders of banks.") and more.ok
    assert nothing.text == "nothing found" and nothing.ok
    assert wrong.error is CallError.INVALID_ARGUMENTS
    (cut,) = call_all(toolset, ("search", {"query": "Citibank"}, "1"), max_output_chars=20)
    assert cut.text == "[1] Citibank\nCitiban ...[cut, 71 characters]"


def test_a_search_that_takes_too_long_is_a_timeout(corpus):
    class Slow(Corpus):
        def answer(self, query, top_k=None):
            time.sleep(0.2)
            return "late"

    engine = SearchEngine(Slow(corpus), Limits(timeout_s=0.05))
    outcome = asyncio.run(engine.call("search", {"query": "x"}, "1"))
    assert (outcome.error, outcome.text) == (CallError.TIMEOUT, "no result within 0.05 s")
    assert engine.isolation == "process"
