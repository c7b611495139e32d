"""Listings of tool schemas: when a reference stands for one, torn lines, two writers, and what is no listing."""

import json

import pytest

from mentor.errors import InputError
from mentor.trajectories.tool_sets import ToolSets, ToolSetWriter, is_reference, reference_to

LONG, OTHER = "[" + "1, " * 20 + "1]", "[" + "2, " * 20 + "2]"


def write(folder, tools):
    return ToolSetWriter(folder).with_reference({"id": 1, "tools": tools})


def lines(folder):
    return [json.loads(line) for line in (folder / "tool_sets.jsonl").read_text().splitlines()]


def test_a_reference_is_a_hash_unless_the_listing_is_as_short():
    assert reference_to("[]") == "[]" and not is_reference("[]")
    assert reference_to("x" * 19) == "x" * 19  # as long as a reference
    assert reference_to("x" * 20) == "sha256:d4fc1db66544"
    assert is_reference("sha256:d4fc1db66544") and not is_reference("sha256:d4fc1db6654") and not is_reference(None)


def test_short_listings_make_no_file(tmp_path):
    assert write(tmp_path, "[]") == {"id": 1, "tools": "[]"}
    assert not list(tmp_path.iterdir())


def test_a_line_that_a_crash_cut_is_written_again(tmp_path):
    record = write(tmp_path, LONG)
    path = tmp_path / "tool_sets.jsonl"
    whole = path.read_bytes()
    path.write_bytes(whole + b'{"hash":"sha256:')
    assert write(tmp_path, LONG) == record  # stored already: the torn line is not touched
    assert path.read_bytes().startswith(whole)
    other = write(tmp_path, OTHER)
    assert [line["hash"] for line in lines(tmp_path)] == [record["tools"], other["tools"]]
    path.write_bytes(whole[:-9])
    assert write(tmp_path, LONG) == record and path.read_bytes() == whole


def test_two_writers_share_a_file(tmp_path):
    one, other = ToolSetWriter(tmp_path), ToolSetWriter(tmp_path)
    references = [
        writer.with_reference({"tools": tools})["tools"] for writer in (one, other) for tools in (LONG, OTHER)
    ]
    assert references[:2] == references[2:]
    sets = ToolSets(tmp_path)
    assert [sets.listing(reference, "r") for reference in references[:2]] == [LONG, OTHER]


def test_a_listing_added_later_is_found(tmp_path):
    sets = ToolSets(tmp_path)
    first = write(tmp_path, LONG)["tools"]
    assert sets.listing(first, "r") == LONG
    with pytest.raises(
        InputError, match=r"^t.jsonl:3 refers to .* sha256:0{12}, and .*tool_sets.jsonl has no such line"
    ):
        sets.listing("sha256:" + "0" * 12, "t.jsonl:3")
    assert sets.listing(write(tmp_path, OTHER)["tools"], "r") == OTHER


def test_a_file_of_other_records_is_named(tmp_path):
    (tmp_path / "tool_sets.jsonl").write_text('{"hash": "sha256:000000000000"}\n')
    with pytest.raises(InputError, match="tool_sets.jsonl: record 1 is an object .*, accepted: texts"):
        ToolSetWriter(tmp_path)
