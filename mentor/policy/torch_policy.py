"""The policy in one process, in plain torch.

Weights and optimiser are float32; with dtype bfloat16 the forward runs under autocast. Logits are made only where a
token is trained, so prompts and tool output never meet the vocabulary.
"""

from __future__ import annotations

import random
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import torch
from transformers import PreTrainedModel, PreTrainedTokenizerBase

from mentor.algorithm.batch import Batch
from mentor.errors import PolicyError
from mentor.policy.base import LossFunction, PolicyOutput


@dataclass(frozen=True)
class OptimizerSettings:
    """learning_rate is reached after `warmup_steps`; schedule is constant, or linear to zero at `total_steps`.

    max_grad_norm: longer gradients are scaled down to it; 0 scales none.
    """

    name: str
    learning_rate: float
    weight_decay: float = 0.0
    max_grad_norm: float = 1.0
    warmup_steps: int = 0
    schedule: str = "constant"
    total_steps: int = 1

    def factor(self, step: int) -> float:
        """What the learning rate is multiplied by at optimiser step `step` (from 0)."""
        if step < self.warmup_steps:
            return (step + 1) / self.warmup_steps
        if self.schedule == "linear":
            return max(0.0, (self.total_steps - step) / max(1, self.total_steps - self.warmup_steps))
        return 1.0


class TorchPolicy:
    """Implements `Policy` on a transformers model; `temperature` is the one its tokens are sampled at."""

    def __init__(
        self,
        model: PreTrainedModel,
        tokenizer: PreTrainedTokenizerBase,
        settings: OptimizerSettings,
        micro_batch_tokens: int = 8192,
        dtype: torch.dtype = torch.float32,
        temperature: float = 1.0,
    ) -> None:
        self.model, self.tokenizer, self.settings = model, tokenizer, settings
        self.micro_batch_tokens, self.dtype, self.temperature = micro_batch_tokens, dtype, temperature
        self.device = next(model.parameters()).device
        self.step = 0  # optimiser steps taken
        self.optimizers = build_optimizers(model, settings)

    def forward(self, batch: Batch) -> PolicyOutput:
        """Logprobs and entropies of the batch's trained tokens, with gradient where enabled."""
        with torch.autocast(self.device.type, dtype=torch.bfloat16, enabled=self.dtype == torch.bfloat16):
            hidden = self.model.base_model(
                input_ids=batch.token_ids, attention_mask=batch.attention.long(), use_cache=False
            ).last_hidden_state
            trained = batch.loss_mask[:, 1:]  # the token at t is predicted at t - 1
            logits = self.model.get_output_embeddings()(hidden[:, :-1][trained])
        logprobs = torch.log_softmax(logits.float() / self.temperature, dim=-1)
        targets = batch.token_ids[:, 1:][trained]
        with torch.no_grad():
            entropies = -(logprobs.exp() * logprobs).sum(-1)
        return PolicyOutput(logprobs.gather(1, targets[:, None])[:, 0], entropies)

    @torch.no_grad()
    def logprobs(self, batch: Batch) -> torch.Tensor:
        self.model.eval()
        result = torch.zeros(batch.loss_mask.shape)
        for rows, micro in batch.micro_batches(self.micro_batch_tokens):
            micro = micro.to(self.device)
            part = torch.zeros(micro.loss_mask.shape, device=self.device)
            part[micro.loss_mask] = self.forward(micro).logprobs
            result[rows, : part.shape[1]] = part.cpu()
        return result

    def update(self, batch: Batch, loss_function: LossFunction) -> dict[str, float]:
        self.model.train()
        factor = self.settings.factor(self.step)
        totals: dict[str, float] = defaultdict(float)
        for _, micro in batch.micro_batches(self.micro_batch_tokens):
            micro = micro.to(self.device)
            loss, stats = loss_function(self.forward(micro), micro)
            if not torch.isfinite(loss):
                raise PolicyError(f"the loss is {loss.item()} at optimiser step {self.step}")
            loss.backward()
            for name, value in stats.items():
                totals[name] += float(value)
        norm = torch.nn.utils.clip_grad_norm_(self.model.parameters(), self.settings.max_grad_norm or float("inf"))
        if not torch.isfinite(norm):
            raise PolicyError(f"the gradient norm is {norm.item()} at optimiser step {self.step}")
        for optimizer in self.optimizers:
            for group in optimizer.param_groups:
                group["lr"] = self.settings.learning_rate * factor
            optimizer.step()
            optimizer.zero_grad(set_to_none=True)
        self.step += 1
        return {**totals, "policy/grad_norm": float(norm), "policy/learning_rate": self.settings.learning_rate * factor}

    def weights(self) -> Iterable[tuple[str, torch.Tensor]]:
        return self.model.named_parameters()

    def save_model(self, folder: Path) -> None:
        self.model.save_pretrained(folder)
        self.tokenizer.save_pretrained(folder)

    def save_state(self, folder: Path) -> None:
        state = {
            "step": self.step,
            "model": self.model.state_dict(),
            "optimizers": [optimizer.state_dict() for optimizer in self.optimizers],
            "torch_rng": torch.get_rng_state(),
            "python_rng": random.getstate(),
        }
        if self.device.type == "cuda":
            state["cuda_rng"] = torch.cuda.get_rng_state_all()
        with (folder / "state.pt").open("wb") as file:  # an own file: torch's writer hides why a write failed
            torch.save(state, file)

    def load_state(self, folder: Path) -> None:
        state = torch.load(folder / "state.pt", map_location="cpu", weights_only=False)
        self.step = state["step"]
        self.model.load_state_dict(state["model"])
        for optimizer, saved in zip(self.optimizers, state["optimizers"], strict=True):
            optimizer.load_state_dict(saved)
        torch.set_rng_state(state["torch_rng"])
        random.setstate(state["python_rng"])
        if self.device.type == "cuda":
            torch.cuda.set_rng_state_all(state["cuda_rng"])


def build_optimizers(model: torch.nn.Module, settings: OptimizerSettings) -> list[torch.optim.Optimizer]:
    """adamw on everything, or muon on the matrices inside the layers and adamw on embeddings, norms and heads."""
    parameters = [(name, p) for name, p in model.named_parameters() if p.requires_grad]
    if settings.name == "adamw":
        matrices, rest = [], [p for _, p in parameters]
    elif settings.name == "muon":
        matrices = [p for name, p in parameters if p.ndim == 2 and "embed" not in name and "lm_head" not in name]
        inside = {id(p) for p in matrices}
        rest = [p for _, p in parameters if id(p) not in inside]
    else:
        raise ValueError(f"optimizer={settings.name}, accepted: adamw, muon")
    rate, decay = settings.learning_rate, settings.weight_decay
    optimizers: list[torch.optim.Optimizer] = [torch.optim.AdamW(rest, lr=rate, betas=(0.9, 0.95), weight_decay=decay)]
    if matrices:
        optimizers.append(torch.optim.Muon(matrices, lr=rate, weight_decay=decay, adjust_lr_fn="match_rms_adamw"))
    return optimizers
