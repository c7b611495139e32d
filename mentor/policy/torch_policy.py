"""The policy in one process, in plain torch.

Weights and optimiser are float32; with dtype bfloat16 the forward runs under autocast. What an engine over several
processes does otherwise (its share of a batch, the backward pass, the step, reading and writing a parameter) are the
methods below "one process".
"""

from __future__ import annotations

import random
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import nn
from transformers import PreTrainedModel, PreTrainedTokenizerBase

from mentor import progress
from mentor.algorithm.batch import Batch
from mentor.errors import PolicyError
from mentor.policy import lora
from mentor.policy.base import LossFunction, PolicyOutput
from mentor.policy.muon import Muon
from mentor.policy.packing import Packing, packed_parts
from mentor.policy.scorer import Scorer
from mentor.policy.state import Entry, read_meta, read_parameters, write_state

BETAS = (0.9, 0.95)  # of AdamW


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


@dataclass(frozen=True)
class Part:
    """A micro-batch: the batch's rows in it, their tensors, how they lie when packed, and whether they count.

    One that does not count fills up the parts of a process to as many as the others have.
    """

    rows: torch.Tensor
    micro: Batch
    packing: Packing | None = None
    counts: bool = True


class TorchPolicy:
    """Implements `Policy` on a transformers model; `temperature` is the one its tokens are sampled at."""

    owns_gradients = True  # nothing else takes gradients as autograd makes them

    def __init__(
        self,
        model: PreTrainedModel,
        tokenizer: PreTrainedTokenizerBase,
        settings: OptimizerSettings,
        micro_batch_tokens: int = 8192,
        dtype: torch.dtype = torch.float32,
        temperature: float = 1.0,
        packing: bool = False,
    ) -> None:
        self.model, self.tokenizer, self.settings = model, tokenizer, settings
        self.micro_batch_tokens, self.dtype, self.packing = micro_batch_tokens, dtype, packing
        self.step = 0  # optimiser steps taken
        self.module: nn.Module = Scorer(model, temperature, dtype, self.owns_gradients)
        self.start()

    # --- the policy -------------------------------------------------------------------------------------------------

    def forward(self, part: Part) -> PolicyOutput:
        """Logprobs and entropies of the part's trained tokens, with gradient where enabled."""
        micro = part.micro
        return PolicyOutput(*self.module(micro.token_ids, micro.attention, micro.loss_mask, part.packing))

    @torch.no_grad()
    def logprobs(self, batch: Batch) -> torch.Tensor:
        self.module.eval()
        result = torch.zeros(batch.loss_mask.shape)
        for part in self.parts(batch):
            progress.beat()
            values = torch.zeros(part.micro.loss_mask.shape, device=self.device)
            values[part.micro.loss_mask] = self.forward(part).logprobs
            if part.counts:
                result[part.rows, : values.shape[1]] = values.cpu()
        return self.total(result)

    def update(self, batch: Batch, loss_function: LossFunction) -> dict[str, float]:
        self.module.train()
        rate = self.settings.learning_rate * self.settings.factor(self.step)
        totals: dict[str, torch.Tensor] = defaultdict(lambda: torch.zeros((), dtype=torch.float64))
        parts = self.parts(batch)
        for number, part in enumerate(parts, 1):
            progress.beat()
            loss, stats = loss_function(self.forward(part), part.micro)
            self.backward(loss, last=number == len(parts))
            for name, value in {**stats, "loss": loss.detach()}.items():
                totals[name] += value.double().cpu()
        summed = dict(zip(totals, self.total(torch.stack(list(totals.values()))).tolist(), strict=True))
        if not torch.isfinite(torch.tensor(loss_value := summed.pop("loss"))):
            raise PolicyError(f"the loss is {loss_value} at optimiser step {self.step}")
        norm = self.take_step(rate)
        self.step += 1
        return {**summed, "policy/grad_norm": norm, "policy/learning_rate": rate}

    def micro_batches(self, batch: Batch) -> Iterator[Part]:
        """The whole batch in parts of at most `micro_batch_tokens`, on the device."""
        if not self.packing:
            for rows, micro in batch.micro_batches(self.micro_batch_tokens):
                yield Part(rows, micro.to(self.device))
            return
        lengths = batch.attention.sum(1)
        for rows, packing in packed_parts(lengths, self.micro_batch_tokens):
            yield Part(rows, batch.take(rows, int(lengths[rows].max())).to(self.device), packing)

    def save_model(self, folder: Path | None) -> None:
        """folder: None in a process that only takes part in gathering the weights."""
        state = {name: value.detach().to("cpu", copy=True) for name, value in self.weights() if folder is not None}
        if folder is not None:
            self.model.save_pretrained(folder, state_dict=state)
            self.tokenizer.save_pretrained(folder)

    def save_state(self, folder: Path | None) -> None:
        meta = {"step": self.step, "torch_rng": torch.get_rng_state(), "python_rng": random.getstate()}
        if self.device.type == "cuda":
            meta["cuda_rng"] = torch.cuda.get_rng_state()
        write_state(folder, meta, ((name, self.read(p)) for name, p in self.trained_parameters()))

    def load_state(self, folder: Path) -> None:
        meta = read_meta(folder)
        self.step = meta["step"]
        own = dict(self.trained_parameters())
        for name, entry in read_parameters(folder):
            if name not in own:
                raise PolicyError(f"{folder} holds {name}, which this policy does not train")
            self.write(own.pop(name), entry)
        if own:
            raise PolicyError(f"{folder} lacks {len(own)} of the trained parameters ({next(iter(own))}, ...)")
        torch.set_rng_state(meta["torch_rng"])
        random.setstate(meta["python_rng"])
        if self.device.type == "cuda" and "cuda_rng" in meta:
            torch.cuda.set_rng_state(meta["cuda_rng"])

    def trained_parameters(self) -> list[tuple[str, nn.Parameter]]:
        return [(name, p) for name, p in self.model.named_parameters() if p.requires_grad]

    def weights(self) -> Iterable[tuple[str, torch.Tensor]]:
        layers = {f"{name}.base_layer.weight": layer for name, layer in lora.adapted_layers(self.model)}
        for name, value in self.model.named_parameters():
            if ".lora_" in name:
                continue
            layer = layers.get(name)
            with self.whole([value] if layer is None else list(layer.parameters())):
                yield lora.plain_name(name), value.detach() if layer is None else lora.merged(value.detach(), layer)

    # --- one process ------------------------------------------------------------------------------------------------

    def start(self) -> None:
        self.device = next(self.model.parameters()).device
        self.optimizers = build_optimizers(self.model, self.settings)

    def parts(self, batch: Batch) -> list[Part]:
        """What of the batch this process computes."""
        return list(self.micro_batches(batch))

    def total(self, values: torch.Tensor) -> torch.Tensor:
        """Sums over all processes; a tensor on the CPU."""
        return values

    def backward(self, loss: torch.Tensor, last: bool) -> None:
        loss.backward()

    def take_step(self, rate: float) -> float:
        """One optimiser step with the gradients at hand; the gradient's norm before it was scaled down."""
        limit = self.settings.max_grad_norm or float("inf")
        norm = torch.nn.utils.clip_grad_norm_([p for _, p in self.trained_parameters()], limit)
        if not torch.isfinite(norm):
            raise PolicyError(f"the gradient norm is {norm.item()} at optimiser step {self.step}")
        for optimizer in self.optimizers:
            for group in optimizer.param_groups:
                group["lr"] = rate
            optimizer.step()
            optimizer.zero_grad(set_to_none=True)
        return float(norm)

    def read(self, parameter: nn.Parameter) -> Entry:
        """The whole weight and moments of a parameter."""
        (state,) = [optimizer.state.get(parameter) for optimizer in self.optimizers if _holds(optimizer, parameter)]
        moments = {key: value for key, value in (state or {}).items() if key != "step"}
        return {"weight": parameter.detach(), **moments}

    def write(self, parameter: nn.Parameter, entry: Entry) -> None:
        (optimizer,) = [optimizer for optimizer in self.optimizers if _holds(optimizer, parameter)]
        with torch.no_grad():
            parameter.copy_(entry["weight"])
        moments = {key: value.to(self.device) for key, value in entry.items() if key != "weight"}
        if moments and isinstance(optimizer, torch.optim.AdamW):
            moments["step"] = torch.tensor(float(self.step))  # every parameter takes part in every step
        if moments:
            optimizer.state[parameter] = moments

    def whole(self, parameters: Sequence[nn.Parameter], modify: bool = False) -> AbstractContextManager[None]:
        """A context in which the parameters are there in full; with `modify`, to be written."""
        return nullcontext()


def _holds(optimizer: torch.optim.Optimizer, parameter: nn.Parameter) -> bool:
    return any(parameter is p for group in optimizer.param_groups for p in group["params"])


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
    optimizers: list[torch.optim.Optimizer] = []
    if rest:
        optimizers.append(torch.optim.AdamW(rest, lr=rate, betas=BETAS, weight_decay=decay, fused=True))
    if matrices:
        optimizers.append(Muon(matrices, lr=rate, weight_decay=decay))
    return optimizers
