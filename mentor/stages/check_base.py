"""What `stage=check` reads of the model that rl starts from: its shape, and its chat format where it is here."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mentor.config import Config, ModelConfig
from mentor.errors import InputError, RunFolderError, one_line
from mentor.planning import ModelShape
from mentor.runs import base_model

if TYPE_CHECKING:  # needs torch, which this stage imports late
    from mentor.chat import ChatFormat


@dataclass(frozen=True)
class CheckedBase:
    """name: its folder or hub name. finding: one line to print. chat: None where the model is not here."""

    name: str
    shape: ModelShape
    finding: str
    chat: ChatFormat | None = None


def look_at_base(config: Config, root: Path, seen: Callable[[ChatFormat], None] | None = None) -> CheckedBase:
    """Find what rl starts from and read its shape. Raises InputError for an unusable folder.

    seen: is given the certified chat format, where the model is here, before its shape is read.
    """
    model = config.model
    assert isinstance(model, ModelConfig)
    try:
        base = base_model(config, root)
    except RunFolderError as error:
        return CheckedBase("made by an earlier stage", shape_of_keys(model), f"base: not there yet, {error}")
    folder = base if isinstance(base, Path) else cached_folder(base)
    if folder is None:
        said = "base: not on this machine; its shape is what the keys of model= say"
        return CheckedBase(str(base), shape_of_keys(model), said)
    if not isinstance(base, Path) and not (folder / "tokenizer_config.json").is_file():
        said = f"base: its shape is that of {folder / 'config.json'}; its tokenizer is not on this machine"
        return CheckedBase(base, shape_of_folder(folder), said)
    from mentor.stages.chat_format import load_chat

    values = config_values(folder)
    chat = load_chat(folder, model)
    if seen is not None:
        seen(chat)
    said = "base: config.json, tokenizer and chat template can be used"
    return CheckedBase(str(base), planned_shape(folder, values), said, chat)


def shape_of_keys(model: ModelConfig) -> ModelShape:
    """Read the shape off the keys of `model=`."""
    return ModelShape(
        model.vocab_size,
        model.hidden_size,
        model.intermediate_size,
        model.num_hidden_layers,
        model.num_attention_heads,
        model.num_key_value_heads,
        model.max_position_embeddings,
        model.head_dim,
        model.tie_word_embeddings,
    )


def shape_of_folder(folder: Path) -> ModelShape:
    """Read the shape off a config.json, with the defaults of transformers for keys it lacks.

    Raises InputError for a shape that cannot be planned.
    """
    return planned_shape(folder, config_values(folder))


def config_values(folder: Path) -> dict[str, Any]:
    """Read a config.json as transformers does. Raises InputError where it cannot."""
    from huggingface_hub.errors import StrictDataclassError
    from transformers import AutoConfig

    try:
        config = AutoConfig.from_pretrained(str(folder)).get_text_config(decoder=True)
        layers = {"num_hidden_layers": config.num_hidden_layers} if hasattr(config, "num_hidden_layers") else {}
        values: dict[str, Any] = {**config.to_dict(), **layers}
    except (OSError, ValueError, KeyError, TypeError, StrictDataclassError) as error:
        raise _unplanned(folder, error) from error
    return values


def planned_shape(folder: Path, values: dict[str, Any]) -> ModelShape:
    try:
        return ModelShape.from_values(values)
    except (ValueError, KeyError, TypeError) as error:
        raise _unplanned(folder, error) from error


def _unplanned(folder: Path, error: Exception) -> InputError:
    return InputError(f"{folder / 'config.json'} has a shape that cannot be planned: {one_line(error)}")


def cached_folder(name: str) -> Path | None:
    """Return where the hub's cache on this machine holds a model's config.json. Asks no network."""
    from huggingface_hub import try_to_load_from_cache

    found = try_to_load_from_cache(name, "config.json")
    return Path(found).parent if isinstance(found, str) else None
