"""The card as the Hub and a reader get it."""

import re
from pathlib import Path

import pytest
import yaml
from huggingface_hub import ModelCard

from mentor.cards import write_cards
from mentor.cards.facts import read_facts
from mentor.cards.model_card import card_text
from mentor.compose import parse
from tests.fixtures.carded_run import HUB, make_carded_run


def test_the_hub_reads_the_front_matter(tmp_path: Path):
    model = make_carded_run(tmp_path)
    (model.parent / "adapter").mkdir()
    assert write_cards(model) == [model / "README.md", model.parent / "adapter" / "README.md"]
    data = ModelCard.load(model / "README.md").data
    assert (data.base_model, data.datasets, data.license) == (HUB, ["openai/gsm8k"], "apache-2.0")
    assert (data.library_name, data.pipeline_tag) == ("transformers", "text-generation")
    adapter = ModelCard.load(model.parent / "adapter" / "README.md")
    assert adapter.data.library_name == "peft" and "lora" in adapter.data.tags
    assert "AutoPeftModelForCausalLM" in adapter.text and "AutoTokenizer" not in adapter.text


def test_what_is_not_known_is_left_out_of_the_front_matter(tmp_path: Path):
    make_carded_run(tmp_path)
    (tmp_path / "rollout" / "config.yaml").unlink()
    (tmp_path / "rollout" / "summary.json").unlink()
    text = card_text(read_facts(tmp_path / "sft-s0" / "model"))
    front = yaml.safe_load(text.split("---\n")[1])
    assert "license" not in front and "datasets" not in front and "| licence of the weights | not stated |" in text
    assert "None: these weights were not evaluated." in text and "## Reward" not in text


def test_reward_settings_and_results_are_those_of_the_run(tmp_path: Path):
    model = make_carded_run(tmp_path)
    text = card_text(read_facts(model))
    assert "trained by reinforcement learning with tools from sft-s0." in text
    assert "| made from | Qwen/Qwen3-0.6B |" in text and "| sampled tokens | 12,345 |" in text
    assert "| match | `coverage` | 0.3 | 0.2 | none |" in text and "  steps: 7\n" in text
    assert "| gsm8k | test | in domain | sampled | 256 | 50.0 | 40.0 to 60.0 |" in text
    assert "| gsm8k | far | out of domain | sampled | 256 | 25.0 | 20.0 to 30.0 |" in text
    assert not re.search(r"/home/|" + re.escape(str(tmp_path)), text), "no folder of this machine"
    assert "\n\n\n" not in text and "fade" not in text


def test_guidance_that_faded_is_said(tmp_path: Path):
    model = make_carded_run(tmp_path)
    path = model.parent / "config.yaml"
    config = yaml.safe_load(path.read_text())
    config["reward"] |= {"anneal": "run", "anneal_until": 0.8}
    path.write_text(yaml.safe_dump(config))
    text = card_text(read_facts(model))
    assert "Terms of the calls fade with the share of right answers of the run, and are gone at 0.8.\n\n## Tr" in text
    assert "\n\n\n" not in text


def test_the_command_of_the_card_is_one(tmp_path: Path):
    import shlex

    text = card_text(read_facts(make_carded_run(tmp_path)))
    line = re.search(r"^mentor stage=chat .*$", text, re.MULTILINE)
    assert line is not None
    given = {
        entry.key_or_group: entry.value() for entry in parse(shlex.split(line[0].replace("<this folder>", "x"))[1:])
    }
    assert str(given["model.system_prompt"]) == "Be brief, it's late." and given["sampler.max_turns"] == 4


@pytest.mark.parametrize("reward", ["released_mentor"])
def test_a_released_reward_is_named(tmp_path: Path, reward: str):
    model = make_carded_run(tmp_path)
    path = model.parent / "config.yaml"
    config = yaml.safe_load(path.read_text())
    config["reward"] |= {"name": reward, "family": "released", "matcher": "mentor"}
    path.write_text(yaml.safe_dump(config))
    assert f"`{reward}`: the function `mentor` that was released" in card_text(read_facts(model))
