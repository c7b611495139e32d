import json
from pathlib import Path

import pytest
import yaml
from transformers import Qwen3Config, Qwen3ForCausalLM

from mentor.conf_dir import conf_dir
from mentor.config import ModelConfig
from mentor.errors import InputError
from mentor.planning import ModelShape
from mentor.stages.check_base import shape_of_folder, shape_of_keys
from tests.fixtures.families import FAMILIES, family_config

SMALL = ModelShape(100, 8, 24, 3, 4, 2, 64, head_dim=4, tie_word_embeddings=True)


def preset(name: str) -> ModelShape:
    values = yaml.safe_load((conf_dir() / "model" / f"{name}.yaml").read_text())
    values.pop("defaults")
    return shape_of_keys(ModelConfig(**values))


@pytest.mark.parametrize(
    ("name", "parameters"),  # of the models on the hub
    [
        ("qwen3_0_6b", 596_049_920),
        ("qwen3_1_7b", 1_720_574_976),
        ("qwen3_4b", 4_022_468_096),
        ("qwen3_8b", 8_190_735_360),
        ("qwen2_5_1_5b", 1_543_714_304),
        ("qwen2_5_7b", 7_615_616_512),
    ],
)
def test_presets_have_the_parameters_of_the_published_models(name: str, parameters: int) -> None:
    assert preset(name).parameters == pytest.approx(parameters, rel=1e-4)


def test_numbers_worked_out_by_hand() -> None:
    assert (SMALL.query_size, SMALL.key_size) == (16, 8)
    layer = 8 * 16 + 2 * 8 * 8 + 16 * 8 + 3 * 8 * 24 + 2 * 8
    assert SMALL.parameters == 3 * layer + 800 + 8
    assert SMALL.largest == 800 and SMALL.largest_linear == 192
    assert SMALL.cache_elements(10) == 2 * 3 * 8 * 10
    assert SMALL.adapters(2) == 3 * 2 * (2 * (8 + 16) + 2 * (8 + 8) + 3 * (8 + 24))
    untied = ModelShape(100, 8, 24, 3, 4, 2, 64, head_dim=4)
    assert untied.parameters == SMALL.parameters + 800


def test_the_count_is_that_of_transformers() -> None:
    values = {key: value for key, value in vars(SMALL).items()}
    model = Qwen3ForCausalLM(Qwen3Config(**values))
    norms = 3 * 2 * 4  # of queries and keys, left out of the count
    assert sum(p.numel() for p in model.parameters()) == SMALL.parameters + norms


def test_from_a_config_json(tmp_path: Path) -> None:
    Qwen3Config(**vars(SMALL)).save_pretrained(tmp_path)
    assert ModelShape.from_values(json.loads((tmp_path / "config.json").read_text())) == SMALL
    with pytest.raises(ValueError, match="no intermediate_size, num_hidden_layers"):
        ModelShape.from_values({"vocab_size": 3, "hidden_size": 4})
    with pytest.raises(ValueError, match="num_experts: only dense"):
        ModelShape.from_values({**vars(SMALL), "num_experts": 8})


@pytest.mark.parametrize("name", FAMILIES)
def test_every_dense_family_can_be_planned_and_experts_are_refused_in_one_line(name: str, tmp_path: Path) -> None:
    family_config(name).save_pretrained(tmp_path)
    if name in ("gpt_oss", "qwen3.5_moe"):
        with pytest.raises(InputError, match="experts: only dense models are planned"):
            shape_of_folder(tmp_path)
        return
    shape = shape_of_folder(tmp_path)
    assert (shape.vocab_size, shape.hidden_size, shape.num_attention_heads) == (97, 64, 2)
    assert shape.num_hidden_layers == {"nemotron_h": 3, "gemma4_e": 4}.get(name, 2)
