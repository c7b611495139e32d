"""The model in training: logprobs of a batch, updates, weights for a rollout engine, checkpoints.

One class for every engine. The rows of a batch are partitioned over the ranks; where the parameters are, and how a
gradient is taken and applied, is the engine's (`interface.Engine`).
"""

from __future__ import annotations

import random
from collections import defaultdict
from collections.abc import Callable, Iterable
from contextlib import AbstractContextManager, nullcontext
from copy import deepcopy
from pathlib import Path

import torch
from transformers import PreTrainedModel, PreTrainedTokenizerBase
from transformers.core_model_loading import revert_weight_conversion

from mentor import progress
from mentor.algorithm.batch import TokenBatch
from mentor.errors import PolicyError
from mentor.policy import lora, nf4
from mentor.policy.interface import B, Engine, LossFunction, PolicyOutput
from mentor.policy.lm_head import MostLikely, Truncation
from mentor.policy.micro_batches import Layout, MicroBatch, Part, micro_batches
from mentor.policy.optimizer import OptimizerSettings, trained_parameters
from mentor.policy.ranks import Ranks
from mentor.policy.state import Entry, read_meta, read_parameters, write_state
from mentor.timer import timed_part


class Policy:
    """micro_batch_tokens: the most tokens of one forward pass, padding included. share_prefixes: what rows have in
    common at their beginning is computed once. packing: several sequences in one row. Both where the model allows.
    on_first_batch: called once, with the first batch, before anything is computed of it."""

    def __init__(
        self,
        engine: Engine,
        tokenizer: PreTrainedTokenizerBase,
        settings: OptimizerSettings,
        micro_batch_tokens: int = 8192,
        packing: bool = False,
        ranks: Ranks | None = None,
        share_prefixes: bool = True,
    ) -> None:
        self.engine, self.tokenizer, self.settings = engine, tokenizer, settings
        self.micro_batch_tokens, self.packing = micro_batch_tokens, packing and engine.scorer.packs
        self.share_prefixes = share_prefixes and engine.scorer.shares_prefixes
        self.ranks = ranks or Ranks()
        self.on_first_batch: Callable[[TokenBatch], None] | None = None

    @property
    def model(self) -> PreTrainedModel:
        return self.engine.scorer.model

    @property
    def dtype(self) -> torch.dtype:
        """Of the forward pass."""
        return self.engine.scorer.dtype

    @property
    def step(self) -> int:
        """Optimiser steps taken."""
        return self.engine.steps

    def trained_parameters(self) -> list[tuple[str, torch.nn.Parameter]]:
        return trained_parameters(self.model)

    def logprobs(self, batch: TokenBatch) -> torch.Tensor:
        """Score each trained token: its logprob, (B, T) float32 without gradient, 0 elsewhere."""
        return self._score(batch, {"logprobs": torch.zeros(batch.loss_mask.shape)})["logprobs"]

    def truncated(self, batch: TokenBatch, truncation: Truncation) -> tuple[torch.Tensor, torch.Tensor]:
        """Find the tokens that truncated sampling draws from, and score each trained token among them.

        Returns the logprobs, (B, T) float32, and the batch's `kept`, (B, T, top_k) int32, which is 0 elsewhere.
        """
        shape = batch.loss_mask.shape
        wanted = {"logprobs": torch.zeros(shape), "kept": torch.zeros(*shape, truncation.top_k, dtype=torch.int32)}
        scores = self._score(batch, wanted, truncation=truncation)
        return scores["logprobs"], scores["kept"]

    def most_likely(self, batch: TokenBatch, wanted: MostLikely) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        """Score each trained token, (B, T) float32, and list the most likely tokens in its place with their logprobs.

        Returns also these tokens, (B, T, K) int32 with K = min(count, words), and their logprobs, (B, T, K) float32;
        all are 0 elsewhere.
        """
        shape = batch.loss_mask.shape
        listed = torch.zeros(*shape, min(wanted.count, wanted.words), dtype=torch.int32)
        empty = {"logprobs": torch.zeros(shape), "listed": listed, "listed_logprobs": torch.zeros(listed.shape)}
        scores = self._score(batch, empty, most_likely=wanted)
        return scores["logprobs"], scores["listed"], scores["listed_logprobs"]

    @torch.no_grad()
    def _score(
        self,
        batch: TokenBatch,
        wanted: dict[str, torch.Tensor],
        truncation: Truncation | None = None,
        most_likely: MostLikely | None = None,
    ) -> dict[str, torch.Tensor]:
        """Fill tensors (B, T, ...), by the name of what they hold of `PolicyOutput`, where a token is trained."""
        self.engine.module.eval()
        for micro in self.micro_batches(batch):
            progress.beat()
            output = self.forward(micro, truncation, most_likely, with_entropies=False)
            if micro.filler:
                continue
            rows, columns = micro.part.loss_mask.cpu().nonzero(as_tuple=True)
            for name, values in wanted.items():
                values[micro.rows[rows], columns] = getattr(output, name).cpu()
        return {name: self.ranks.all_reduce(values) for name, values in wanted.items()}

    def see_first(self, batch: TokenBatch) -> None:
        """Hand a batch to what waits for the first one."""
        wanted, self.on_first_batch = self.on_first_batch, None
        if wanted is not None:
            wanted(batch)

    def update(self, batch: B, loss_function: LossFunction[B], with_entropies: bool = True) -> dict[str, float]:
        """Take one optimiser step over a whole minibatch; return the summed stats, and the step's.

        with_entropies: whether the loss function reads them.
        Raises PolicyError where the loss or the gradient norm is not finite.
        """
        self.engine.module.train()
        rate = self.settings.learning_rate * self.settings.factor(self.step)
        totals: dict[str, torch.Tensor] = defaultdict(lambda: torch.zeros((), dtype=torch.float64))
        micro_batches = self.micro_batches(batch)
        for number, micro in enumerate(micro_batches, 1):
            progress.beat()
            with self._part("forward"):
                loss, stats = loss_function(self.forward(micro, with_entropies=with_entropies), micro.part)
            with self._part("backward"):
                self.engine.backward(loss, last=number == len(micro_batches))
            for name, value in {**stats, "loss": loss.detach()}.items():
                totals[name] += value.double().cpu()
        sums = self.ranks.all_reduce(torch.stack(list(totals.values())))
        summed = dict(zip(totals, sums.tolist(), strict=True))
        if not torch.isfinite(torch.tensor(loss_value := summed.pop("loss"))):
            raise PolicyError(f"the loss is {loss_value} at optimiser step {self.step}")
        with self._part("optimizer"):
            norm = self.engine.step(rate)
        return {**summed, "policy/grad_norm": norm, "policy/learning_rate": rate}

    def _part(self, name: str) -> AbstractContextManager[None]:
        """Time a part of an update; not on a GPU, which would have to be waited for."""
        return timed_part(name) if self.engine.device.type == "cpu" else nullcontext()

    def micro_batches(self, batch: Part) -> list[MicroBatch[Part]]:
        """Cut this rank's part of the batch into as many micro-batches as every rank has: each is a collective."""
        scorer = self.engine.scorer
        layout = Layout(
            self.share_prefixes, self.packing, scorer.by_lengths, recomputes=self.model.is_gradient_checkpointing
        )
        return micro_batches(
            batch, layout, self.micro_batch_tokens, self.ranks.size, self.ranks.rank, self.engine.device
        )

    def forward(
        self,
        micro: MicroBatch[Part],
        truncation: Truncation | None = None,
        most_likely: MostLikely | None = None,
        *,
        with_entropies: bool,
    ) -> PolicyOutput:
        """Compute logprobs, and entropies where wanted, of the trained tokens, with gradient where enabled."""
        part = micro.part
        kept, listed = (None if tokens is None else tokens[part.loss_mask] for tokens in (part.kept, part.listed))
        tokens = part.token_ids, part.attention, part.loss_mask
        return PolicyOutput(
            *self.engine.module(*tokens, micro.packing, kept, truncation, with_entropies, listed, most_likely)
        )

    def weights(self, merged: bool = True) -> Iterable[tuple[str, torch.Tensor]]:
        """Yield the current parameters under the names that a saved model has, which engines load, and in its shapes.

        They are whole. merged: with adapters merged in, in float32 then; else the base's own, without the adapters.
        Every rank consumes all of them.
        """
        for name, value in self._parameters(merged):
            yield from revert_weight_conversion(self.model, {name: value}).items()

    def _parameters(self, merged: bool = True) -> Iterable[tuple[str, torch.Tensor]]:
        adapted = lora.adapted_layers(self.model) if merged else ()
        layers = {f"{name}.base_layer.weight": layer for name, layer in adapted}
        for name, value in self.model.named_parameters():
            progress.beat()
            if ".lora_" in name:
                continue
            layer = layers.get(name)
            with self.engine.gathered([value] if layer is None else list(layer.parameters())):
                weight = nf4.whole(value)
                yield lora.plain_name(name), weight if layer is None else lora.merged(weight, layer)

    @property
    def has_adapters(self) -> bool:
        return any(lora.adapted_layers(self.model))

    def adapter(self, scaled: bool = False) -> Iterable[tuple[str, torch.Tensor]]:
        """Yield A (r, in) and B (out, r) of all adapters, whole, in float32, by peft's names, to every rank.

        scaled: B times alpha / r.
        """
        for name, layer in lora.adapted_layers(self.model):
            with self.engine.gathered([p for p in layer.parameters() if p.requires_grad]):
                yield from lora.tensors(name, layer, scaled)

    def save_model(self, folder: Path | None) -> None:
        """Write the model in Hugging Face format. folder: None on a rank that only gathers.

        With adapters they are merged in, and all of it is float32: in bfloat16 small updates would be rounded away.
        Some models also store tensors that are not trained (Gemma 4 a scalar of every layer): they are written as well.
        """
        wide = torch.float32 if self.has_adapters else None
        state = {
            name: value.detach().to("cpu", wide, copy=True) for name, value in self._parameters() if folder is not None
        }
        if folder is not None:
            stored = self.model.state_dict().keys()
            state |= {name: value.cpu() for name, value in self.model.named_buffers() if name in stored}
            self.model.save_pretrained(folder, state_dict=state)
            if wide is not None:
                self._say_type(folder, wide)
            self.tokenizer.save_pretrained(folder)

    def _say_type(self, folder: Path, dtype: torch.dtype) -> None:
        """Write the type of the stored weights, which is not that of the model's own, into its configuration."""
        config = deepcopy(self.model.config)
        for part in (config, *(getattr(config, name) for name in config.sub_configs)):
            part.dtype = dtype
        config.save_pretrained(folder)

    def save_adapter(self, folder: Path | None) -> None:
        """Write the adapters as peft does. folder: None on a rank that only gathers."""
        weights = {name: value.to("cpu", copy=True) for name, value in self.adapter() if folder is not None}
        if folder is not None:
            lora.write_adapter(folder, self.model, weights)

    def save_state(self, folder: Path | None) -> None:
        """Write all that `load_state` needs to resume exactly: weights, optimiser, step, random states."""
        base = str(self.model.name_or_path)  # empty of a student that was made from scratch
        base = str(Path(base).resolve()) if base and Path(base).is_dir() else base
        meta = {"base": base, "step": self.step, "torch_rng": torch.get_rng_state(), "python_rng": random.getstate()}
        if self.engine.device.type == "cuda":
            meta["cuda_rng"] = torch.cuda.get_rng_state()
        write_state(
            folder, meta, ((name, self.engine.read(p)) for name, p in self.trained_parameters()), self.ranks.barrier
        )

    def load_state(self, folder: Path) -> None:
        """Restore what `save_state` wrote, whichever engine and however many ranks wrote it."""
        meta = read_meta(folder)
        self.engine.steps = meta["step"]
        self._write(read_parameters(folder), folder)
        torch.set_rng_state(meta["torch_rng"])
        random.setstate(meta["python_rng"])
        if self.engine.device.type == "cuda" and "cuda_rng" in meta:
            torch.cuda.set_rng_state(meta["cuda_rng"])

    def load_weights(self, folder: Path) -> None:
        """Set the weights to those that `save_state` wrote, and nothing else."""
        self._write(((name, {"weight": entry["weight"]}) for name, entry in read_parameters(folder)), folder)

    def _write(self, parameters: Iterable[tuple[str, Entry]], folder: Path) -> None:
        own = dict(self.trained_parameters())
        for name, entry in parameters:
            if name not in own:
                raise PolicyError(f"{folder} holds {name}, which this policy does not train")
            self.engine.write(own.pop(name), entry)
        if own:
            raise PolicyError(f"{folder} lacks {len(own)} of the trained parameters ({next(iter(own))}, ...)")
