"""Model folders whose weights are not what their config asks for."""

import json
from pathlib import Path

import pytest

from mentor.errors import InputError
from mentor.policy.model import load_model, make_student
from tests.fixtures.families import make_family


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    sizes = {"vocab_size": 300, "hidden_size": 8, "intermediate_size": 8, "num_hidden_layers": 1}
    heads = {"num_attention_heads": 2, "num_key_value_heads": 1, "max_position_embeddings": 16}
    make_student(0, **sizes, **heads, eos_token_id=0, pad_token_id=1).save_pretrained(tmp_path)
    assert load_model(tmp_path).config.hidden_size == 8
    return tmp_path


@pytest.mark.parametrize("size", [0, 50])
def test_cut_off_weights_are_bad_input(folder: Path, size: int) -> None:
    weights = folder / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:size])
    with pytest.raises(InputError, match=f"model.path={folder} cannot be loaded"):
        load_model(folder)


@pytest.mark.parametrize("change", [{"hidden_size": 16}, {"num_hidden_layers": 2}])
def test_weights_that_the_config_does_not_fit_are_bad_input(folder: Path, change: dict[str, int]) -> None:
    config = json.loads((folder / "config.json").read_text())
    config.pop("layer_types", None)
    (folder / "config.json").write_text(json.dumps({**config, **change}))
    with pytest.raises(InputError, match="lacks .* weights of the shape"):
        load_model(folder)


def test_eyes_are_not_trained() -> None:
    trained = {name.split(".")[1] for name, p in make_family("gemma3_mm").named_parameters() if p.requires_grad}
    assert trained == {"language_model"}
    assert all(parameter.requires_grad for parameter in make_family("gpt_oss").parameters())
