"""Tools without source of their own: search over a corpus, the Python interpreter, and servers of the MCP."""

import asyncio
import json
import shlex
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest

from mentor.errors import ConfigError, InputError, ToolError
from mentor.tools import ToolExecutor, Toolset, build_toolset
from mentor.tools.host.corpus import Corpus
from mentor.types import CallError

SERVER = Path(__file__).parents[2] / "fixtures" / "mcp_notes.py"
NOTES = shlex.join([sys.executable, str(SERVER)])
PASSAGES = [
    {"title": "Citibank", "text": "Citibank was founded in 1812 as the City Bank of New York."},
    {"title": "Madison", "contents": "James Madison was president from 1809 to 1817."},
    {"title": "", "text": "Founders of banks."},
]


def call_all(toolset: Toolset, *calls, **limits):
    """Results of (name, arguments, session) calls, made one after the other; sessions named in `calls` stay open."""

    async def run():
        async with ToolExecutor(toolset, **limits) as executor:
            return [await executor.call(name, arguments, session) for name, arguments, session in calls]

    return asyncio.run(run())


@pytest.fixture
def corpus(tmp_path, monkeypatch) -> Path:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    path = tmp_path / "corpus.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in PASSAGES))
    return path


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


def test_the_index_of_a_corpus_is_built_once(corpus, tmp_path):
    Corpus(corpus).search("Madison")
    (folder,) = (tmp_path / "cache" / "mentor").iterdir()
    made = folder.stat().st_mtime_ns
    assert [p.title for p in Corpus(corpus).search("Madison")] == ["Madison"]
    assert [f.stat().st_mtime_ns for f in (tmp_path / "cache" / "mentor").iterdir()] == [made]
    corpus.write_text(corpus.read_text().replace("Madison", "Monroe"))
    assert Corpus(corpus).search("Madison") == [] and Corpus(corpus).search("Monroe")[0].title == "Monroe"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "holds no rows"),
        ('{"title": "a"}\n', r"corpus.jsonl:1: title is a string .* text is null"),
        ('{"title": 1, "text": "a"}\n', r"corpus.jsonl:1: title is a number"),
    ],
)
def test_a_corpus_that_is_none_is_named(corpus, text, message):
    corpus.write_text(text)
    with pytest.raises(InputError, match=message):
        Corpus(corpus)


def test_a_question_finds_a_supporting_passage_among_the_first_five(shared, tmp_path):
    folder = shared / "data" / "multihop_qa"
    corpus = Corpus(folder / "hotpotqa_train100_corpus.json", cache=tmp_path)
    assert len(corpus.passages) == 994
    questions = json.loads((folder / "hotpotqa_train100.json").read_text())
    supporting = [{title for title, _ in question["supporting_facts"]} for question in questions]
    found = [{passage.title for passage in corpus.search(question["question"], 5)} for question in questions]
    assert sum(bool(right & titles) for right, titles in zip(supporting, found, strict=True)) >= 95


def test_python_keeps_the_variables_of_a_session():
    results = call_all(
        build_toolset("python"),
        ("python", {"code": "import statistics\nx = [1, 2, 6]\nprint('mean')\nstatistics.mean(x)"}, "1"),
        ("python", {"code": "sum(x)"}, "1"),
        ("python", {"code": "x"}, "2"),
        ("python", {"code": "1 +"}, "1"),
        ("python", {"code": "y = 3"}, "1"),
        timeout_s=10,
        memory_mib=256,
    )
    assert [result.text for result in results[:2]] == ["mean\n3", "9"]
    assert results[2].error is CallError.EXCEPTION and "NameError" in results[2].text
    assert results[3].error is CallError.EXCEPTION and "SyntaxError" in results[3].text
    assert results[4].text == '""'


@pytest.fixture(scope="module")
def notes() -> Toolset:
    return Toolset.from_mcp(NOTES)


def test_a_trajectory_has_an_mcp_server_of_its_own(notes):
    assert notes.names == ("note", "add", "fail", "hang", "die")
    one, two, other, invalid, failed = call_all(
        notes,
        ("note", {"text": "a"}, "1"),
        ("note", {"text": "b"}, "1"),
        ("note", {"text": "c"}, "2"),
        ("add", {"a": "x", "b": 1}, "2"),
        ("fail", {"reason": "on purpose"}, "2"),
    )
    assert [one.text, two.text, other.text] == ["1", "2", "1"]
    assert invalid.error is CallError.INVALID_ARGUMENTS and failed.error is CallError.EXCEPTION


def test_sessions_share_a_server_where_it_is_said():
    results = call_all(build_toolset("mcp", server=NOTES, shared=True), *[("note", {"text": "a"}, s) for s in "12"])
    assert [result.text for result in results] == ["1", "2"]


def test_a_server_that_hangs_or_dies_is_replaced(notes):
    hung, after, died, again = call_all(
        notes,
        ("hang", {}, "1"),
        ("note", {"text": "a"}, "1"),
        ("die", {}, "1"),
        ("note", {"text": "a"}, "1"),
        timeout_s=1.0,
    )
    assert hung.error is CallError.TIMEOUT and hung.seconds < 2 and after.text == "1"
    assert died.error is CallError.CRASH and again.text == "1"


def test_a_server_over_http():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    server = subprocess.Popen([sys.executable, str(SERVER), str(port)], stderr=subprocess.DEVNULL)
    try:
        deadline = time.monotonic() + 60
        while time.monotonic() < deadline:
            with socket.socket() as probe:
                if probe.connect_ex(("127.0.0.1", port)) == 0:
                    break
            time.sleep(0.1)
        (result,) = call_all(Toolset.from_mcp(f"http://127.0.0.1:{port}/mcp"), ("add", {"a": 2, "b": 3}, "1"))
    finally:
        server.kill()
        server.wait()
    assert result.text == "5"


def test_a_server_that_cannot_be_used_is_named():
    with pytest.raises(ToolError, match=r"the MCP server '.*no database.*' cannot be used: .*\(no database\)"):
        Toolset.from_mcp(shlex.join([sys.executable, "-c", "import sys; sys.exit('no database')"]))
    with pytest.raises(ToolError, match="cannot be used"):
        Toolset.from_mcp("no-such-command-anywhere")


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"name": "search"}, "tools.path is missing"),
        ({"name": "mcp"}, "tools.server is missing"),
        ({"name": "calculator", "server": "x"}, "tools.server=x is read with tools=mcp, not tools=calculator"),
        ({"name": "python", "engine": "monty"}, "tools.engine=monty cannot run tools=python"),
    ],
)
def test_settings_that_do_not_go_together(settings, message):
    with pytest.raises(ConfigError, match=message):
        build_toolset(**settings)
