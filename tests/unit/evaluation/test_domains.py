"""Whether a split is in the domain of what a run trains on."""

import pytest
from hydra import compose

from mentor.compose import to_config
from mentor.config import TaskConfig
from mentor.evaluation.domains import data_set, domain
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


def test_training_on_long_chains_makes_long_the_split_in_domain(hydra_conf: None):
    splits = to_config(compose("config", overrides=["stage=eval"])).benchmark["calculator"].splits
    for split, in_domain in (("train", "test"), ("train_long", "long")):
        trained_on = data_set(TaskConfig("calculator", split=split))
        assert [name for name, said in splits.items() if domain(said, trained_on) == "id"] == [in_domain]
        assert {domain(said, trained_on) for said in splits.values()} == {"id", "ood"}
    assert data_set(TaskConfig("calculator", split="train_long", data_set="mine")) == "mine"
    assert data_set(TaskConfig("jsonl", path="x", split="train_long")) is None
