"""Count the parameters of a student from the numbers in its config.json.

For decoders like Llama, Qwen2 and Qwen3: grouped-query attention, a gated feed-forward part, RMS norms. Biases and the
norms of queries and keys are not counted; in the models of conf/model they are less than 0.01 % of the parameters.
Every layer counts as one of full attention, also where a model has sliding windows or layers with a state.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import MISSING, dataclass, fields
from typing import Any


@dataclass(frozen=True)
class ModelShape:
    """The keys of a Hugging Face config.json."""

    vocab_size: int
    hidden_size: int
    intermediate_size: int
    num_hidden_layers: int
    num_attention_heads: int
    num_key_value_heads: int
    max_position_embeddings: int
    head_dim: int | None = None
    tie_word_embeddings: bool = False

    @classmethod
    def from_values(cls, values: Mapping[str, Any]) -> ModelShape:
        """Read a config.json. Raises ValueError that names a missing key, or for layers with experts."""
        missing = [entry.name for entry in fields(cls) if entry.default is MISSING and entry.name not in values]
        if missing:
            raise ValueError(f"no {', '.join(missing)}")
        experts = next((key for key, value in values.items() if key.endswith("experts") and value), None)
        if experts is not None and "moe" in values.get("layers_block_type", ["moe"]):
            raise ValueError(f"{experts}: only dense models are planned")
        return cls(**{entry.name: values[entry.name] for entry in fields(cls) if entry.name in values})

    @property
    def query_size(self) -> int:
        """Features of all query heads."""
        return self.num_attention_heads * (self.head_dim or self.hidden_size // self.num_attention_heads)

    @property
    def key_size(self) -> int:
        """Features of all key heads, and of all value heads."""
        return self.query_size // self.num_attention_heads * self.num_key_value_heads

    @property
    def embedding(self) -> int:
        """Parameters of the embedding; also of the output head."""
        return self.vocab_size * self.hidden_size

    @property
    def linear_layers(self) -> list[tuple[int, int]]:
        """(inputs, outputs) of the linear layers of one layer."""
        h, q, k, f = self.hidden_size, self.query_size, self.key_size, self.intermediate_size
        return [(h, q), (h, k), (h, k), (q, h), (h, f), (h, f), (f, h)]

    @property
    def parameters(self) -> int:
        """All of them; a tied head counts once."""
        layer = sum(inputs * outputs for inputs, outputs in self.linear_layers) + 2 * self.hidden_size
        embeddings = self.embedding * (1 if self.tie_word_embeddings else 2)
        return self.num_hidden_layers * layer + embeddings + self.hidden_size

    @property
    def matrices(self) -> int:
        """Parameters of the linear layers inside the layers, which muon takes."""
        return self.num_hidden_layers * sum(inputs * outputs for inputs, outputs in self.linear_layers)

    @property
    def largest_linear(self) -> int:
        """Parameters of the largest linear layer inside the layers."""
        return max(inputs * outputs for inputs, outputs in self.linear_layers)

    @property
    def largest(self) -> int:
        """Parameters of the largest tensor."""
        return max(self.embedding, self.largest_linear)

    def adapters(self, rank: int) -> int:
        """Parameters of adapters (arXiv:2106.09685) of this rank on every linear layer but the head."""
        return self.num_hidden_layers * sum(rank * (inputs + outputs) for inputs, outputs in self.linear_layers)

    def cache_elements(self, tokens: int) -> int:
        """Keys and values of so many tokens."""
        return 2 * self.num_hidden_layers * self.key_size * tokens
