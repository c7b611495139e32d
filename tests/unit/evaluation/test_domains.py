"""Whether a split is in the domain of what a run trains on."""

import pytest

from mentor.config import TaskConfig
from mentor.evaluation.domains import data_set
from mentor.evaluation.results import summarise, with_domains
from tests.fixtures.items import make_item


@pytest.mark.parametrize(
    ("said", "trained_on", "expected"),
    [
        ("id", None, "id"),
        ("ood", "gsm8k", "ood"),
        ("unknown", "gsm8k", "unknown"),
        ("id:gsm8k", "gsm8k", "id"),
        ("id:gsm8k", "calculator", "ood"),
        ("id:gsm8k+math", "math", "id"),
        ("id:gsm8k", "gsm", "ood"),
        ("id:gsm8k", None, "unknown"),
    ],
)
def test_the_domain_depends_on_what_was_trained_on(said, trained_on, expected):
    (row,) = summarise([make_item(True)], {"test": said}, trained_on)
    assert (row["domain"], row["domain_of"]) == (expected, trained_on)
    (later,) = with_domains([row], {"test": said}, "other")
    assert later["domain"] == ("ood" if said.startswith("id:") else said) and later["domain_of"] == "other"


def test_a_file_has_the_name_it_is_given_and_else_none():
    assert data_set(TaskConfig("calculator")) == "calculator" and data_set(TaskConfig("jsonl", path="x")) is None
    assert data_set(TaskConfig("multihop_qa", data_set="hotpotqa")) == "hotpotqa"
    assert data_set(TaskConfig("gsm8k", data_set="mine")) == "mine"
