"""The model as a policy sees it: logprobs and entropies of the trained tokens of a batch, in one module.

One module, because an engine that spreads weights over processes gathers them around a module's forward.
"""

from __future__ import annotations

import torch
from torch import nn
from transformers import PreTrainedModel

from mentor.policy.attention import masked_attention, takes_lengths
from mentor.policy.layers import keeps_sequences_apart, sees_back_alone, shares_prefixes
from mentor.policy.lm_head import MostLikely, Truncation, embedded, kept_tokens, most_likely_tokens, token_logprobs
from mentor.policy.logits import evaluating, few_tokens, read_logit_map
from mentor.policy.packing import Packing
from mentor.policy.prefix_attention import rows_at
from mentor.policy.prefixes import PrefixTree


class Scorer(nn.Module):
    """temperature: of the tokens' distribution. dtype: of the forward pass, under autocast where weights are wider.

    into_grad: see `token_logprobs`. causal: whether padding on the right needs no mask. packs: whether it takes a
    `Packing`; by_lengths: by the sequences' lengths. shares_prefixes: whether it takes a `PrefixTree`. Raises
    PolicyError for a model whose LM head is not understood.
    """

    def __init__(self, model: PreTrainedModel, temperature: float, dtype: torch.dtype, into_grad: bool) -> None:
        super().__init__()
        self.model, self.temperature, self.dtype, self.into_grad = model, temperature, dtype, into_grad
        with self._computing():
            with masked_attention(model):
                self.logit_map = read_logit_map(model)
                self._embeds_in_place = into_grad and _embeds_plainly(model)
                self.causal = sees_back_alone(model)
            self.packs = keeps_sequences_apart(model)
            self.shares_prefixes = shares_prefixes(model)
        self.by_lengths = takes_lengths(model)

    def _computing(self) -> torch.autocast:
        """Compute in `dtype`, under autocast where the weights are wider."""
        weight = next(self.model.parameters())
        return torch.autocast(weight.device.type, dtype=self.dtype, enabled=self.dtype != weight.dtype)

    def forward(
        self,
        token_ids: torch.Tensor,
        attention: torch.Tensor,
        loss_mask: torch.Tensor,
        packing: Packing | PrefixTree | None = None,
        kept: torch.Tensor | None = None,
        truncation: Truncation | None = None,
        with_entropies: bool = True,
        listed: torch.Tensor | None = None,
        most_likely: MostLikely | None = None,
    ) -> tuple[torch.Tensor, torch.Tensor | None, torch.Tensor | None, torch.Tensor | None, torch.Tensor | None]:
        """Compute logprobs and, where wanted, entropies (N,) of trained tokens, row by row, and what they are among.

        token_ids (B, T) int64, attention and loss_mask (B, T) bool. kept: (N, K) int32, the tokens that each is drawn
        from, or truncation to find them by; they are returned. Without either it is drawn from all. listed: (N, K)
        int32, tokens in whose place their logprobs are wanted too, or most_likely to find them by; both are returned.

        The token at t is predicted at t - 1. Logits are made only where a token is trained.
        """
        with self._computing():
            hidden = self._hidden(token_ids, attention, loss_mask[:, 1:], packing)
        head: torch.Tensor = self.model.get_output_embeddings().weight
        targets = token_ids[:, 1:][loss_mask[:, 1:]]
        drawn = self.temperature, self.dtype
        if truncation is not None:
            kept = kept_tokens(hidden, head, targets, truncation, *drawn, logit_map=self.logit_map)
        if most_likely is not None:
            listed = most_likely_tokens(hidden, head, most_likely, self.dtype, logit_map=self.logit_map)
        wanted = targets[:, None] if listed is None else torch.cat([targets[:, None], listed.long()], dim=1)
        logprobs, entropies = token_logprobs(
            hidden,
            head,
            wanted,
            *drawn,
            into_grad=self.into_grad,
            logit_map=self.logit_map,
            kept=kept,
            with_entropies=with_entropies,
        )
        return logprobs[:, 0], entropies, kept, listed, None if listed is None else logprobs[:, 1:]

    def _hidden(
        self,
        token_ids: torch.Tensor,
        attention: torch.Tensor,
        trained: torch.Tensor,
        packing: Packing | PrefixTree | None,
    ) -> torch.Tensor:
        """Return the last hidden states (N, H) where the next token is trained; trained: (B, T - 1) bool."""
        if packing is None:
            mask = None if self.causal else attention.long()
            output = self.model.get_decoder()(**self._tokens(token_ids), attention_mask=mask, use_cache=False)
            return output.last_hidden_state[:, :-1][trained]
        ids, positions = packing.pack(token_ids, attention)
        told = packing.attention_arguments(ids.device)
        output = self.model.get_decoder()(**self._tokens(ids), position_ids=positions, use_cache=False, **told)
        columns = torch.arange(trained.shape[1], device=ids.device).expand_as(trained)
        return rows_at(output.last_hidden_state.flatten(0, 1), packing.index(columns)[trained])

    def _tokens(self, token_ids: torch.Tensor) -> dict[str, torch.Tensor]:
        """Make the model's input: token ids, or their embeddings where that gradient can be accumulated in place."""
        embedding = self.model.get_input_embeddings()
        if self._embeds_in_place and isinstance(embedding, nn.Embedding):
            return {"inputs_embeds": embedded(token_ids, embedding)}
        return {"input_ids": token_ids}


def _embeds_plainly(model: PreTrainedModel) -> bool:
    """Whether the model takes rows of its embedding's weight, which is trained, for the tokens themselves."""
    embedding = model.get_input_embeddings()
    if type(embedding) is not nn.Embedding or not embedding.weight.requires_grad:
        return False
    ids = few_tokens(model)
    with evaluating(model):
        one, other = (
            model.get_decoder()(**tokens, use_cache=False).last_hidden_state
            for tokens in ({"input_ids": ids}, {"inputs_embeds": embedding(ids)})
        )
    return torch.equal(one, other)
