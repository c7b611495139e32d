"""Steps of TRL's GRPOTrainer, timed by phase, for a Python that has `trl` (1.16) and not this project.

    python trl_program.py order.json

The order names the student, the questions, the tools and the sizes; `result.json` in its `output` folder gets the
steps, the token ids of every prompt, and versions. A step is one generation and all updates on it. TRL's own trainer
does everything; methods are wrapped to be timed.
"""

from __future__ import annotations

import importlib.util
import inspect
import json
import re
import sys
from collections import defaultdict
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path
from time import perf_counter
from typing import Any

import torch
from datasets import Dataset
from transformers import AutoModelForCausalLM, AutoTokenizer, TrainerCallback
from trl import GRPOConfig, GRPOTrainer


def main(path: Path) -> None:
    order = json.loads(path.read_text())
    tokenizer = AutoTokenizer.from_pretrained(order["model"])
    model = AutoModelForCausalLM.from_pretrained(order["model"], dtype=torch.float32)
    rows = [
        {"prompt": [{"role": "user", "content": question}], "answer": answer}
        for question, answer in zip(order["questions"], order["answers"], strict=True)
    ]
    watch = Watch(order["minibatches"])
    trainer = TimedTrainer(
        watch,
        model=model,
        processing_class=tokenizer,
        reward_funcs=reward,
        args=settings(order),
        train_dataset=Dataset.from_list(rows),
        tools=load_tools(Path(order["tools"])),
        callbacks=[watch],
    )
    trainer.train()
    versions = {name: version(name) for name in ("trl", "torch", "transformers")}
    prompts = dict(zip(order["questions"], (watch.prompts[question] for question in order["questions"]), strict=True))
    result = {"steps": watch.steps, "prompts": prompts, "versions": versions}
    (Path(order["output"]) / "result.json").write_text(json.dumps(result))


def settings(order: dict[str, Any]) -> GRPOConfig:
    """Write the order in TRL's terms: micro-batches of `rows` rows, `minibatches` optimiser steps per generation."""
    trajectories = order["prompts"] * order["group_size"]
    rows = min(order["rows"], trajectories // order["minibatches"])
    micro_batches = trajectories // order["minibatches"] // rows
    return GRPOConfig(
        output_dir=order["output"],
        max_steps=order["steps"] * order["minibatches"],
        per_device_train_batch_size=rows,
        gradient_accumulation_steps=micro_batches,
        steps_per_generation=micro_batches * order["minibatches"],
        num_generations=order["group_size"],
        max_completion_length=order["turn_tokens"] * order["turns"],
        generation_kwargs={"max_new_tokens": order["turn_tokens"]},
        max_tool_calling_iterations=order["turns"] - 1,
        learning_rate=order["rate"],
        lr_scheduler_type="constant",
        max_grad_norm=0.5,
        epsilon=0.2,
        epsilon_high=0.28,
        beta=0.0,
        temperature=1.0,
        gradient_checkpointing=False,
        bf16=False,
        use_cpu=True,
        shuffle_dataset=False,
        report_to="none",
        save_strategy="no",
        disable_tqdm=True,
        logging_steps=order["minibatches"],
    )


def load_tools(path: Path) -> list[Callable[..., Any]]:
    """Load the public functions of a file, in their order."""
    spec = importlib.util.spec_from_file_location("tools", path)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    found: list[Callable[..., Any]] = [
        value for name, value in vars(module).items() if inspect.isfunction(value) and name[0] != "_"
    ]
    return found


def reward(completions: list[list[dict[str, Any]]], answer: list[str], **_: Any) -> list[float]:
    """Return 1 where the last box holds the answer, letter by letter."""
    texts = ["".join(str(message.get("content", "")) for message in completion[-1:]) for completion in completions]
    boxes = [re.findall(r"\\boxed\{([^}]*)\}", text) for text in texts]
    return [float(box[-1:] == [wanted]) for box, wanted in zip(boxes, answer, strict=True)]


class Watch(TrainerCallback):
    """Seconds and tokens of every step. minibatches: optimiser steps of one."""

    def __init__(self, minibatches: int) -> None:
        self.minibatches = minibatches
        self.seconds: dict[str, float] = defaultdict(float)
        self.sampled = self.trained = 0
        self.prompts: dict[str, list[int]] = {}
        self.steps: list[dict[str, Any]] = []
        self.began = self.before_optimizer = perf_counter()

    def add(self, name: str, began: float) -> None:
        self.seconds[name] += perf_counter() - began

    def on_step_begin(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        if state.global_step % self.minibatches == 0:
            self.end()

    def on_train_end(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        self.end()

    def on_pre_optimizer_step(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        self.before_optimizer = perf_counter()

    def on_optimizer_step(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        self.add("optimizer", self.before_optimizer)

    def end(self) -> None:
        """Keep the step that ends here, if one has begun."""
        took, now = self.seconds, perf_counter()
        if took:
            scored = took["rollout"] + took["reward"]
            seconds = {
                "rollout": took["rollout"],
                "rollout/tools": took["rollout"] - took["sampling"],
                "reward": took["reward"],
                "logprobs": took["generation"] - scored,  # and the rest of making a batch
                "update": took["training"],
                "update/forward": took["forward"],
                "update/optimizer": took["optimizer"],
                "push": 0.0,
            }
            seconds["update"] += took["optimizer"]
            seconds["update/backward"] = took["training"] - took["forward"]
            seconds["rest"] = now - self.began - took["generation"] - seconds["update"]
            self.steps.append({"seconds": seconds, "sampled": self.sampled, "trained": self.trained})
        self.began, self.seconds, self.sampled, self.trained = now, defaultdict(float), 0, 0


class TimedTrainer(GRPOTrainer):
    """Times the methods of TRL that are phases; a method within another is timed in both."""

    def __init__(self, watch: Watch, **arguments: Any) -> None:
        self.watch = watch
        super().__init__(**arguments)

    def _generate_and_score_completions(self, inputs: Any) -> Any:
        began = perf_counter()
        batch = super()._generate_and_score_completions(inputs)
        self.watch.add("generation", began)
        completion = batch["completion_mask"]
        self.watch.sampled += int((completion * batch.get("tool_mask", 1)).sum())
        self.watch.trained += int(completion.sum() + batch["prompt_mask"].sum())
        for row, ids, mask in zip(inputs, batch["prompt_ids"], batch["prompt_mask"], strict=True):
            self.watch.prompts[row["prompt"][-1]["content"]] = ids[mask.bool()].tolist()
        return batch

    def _generate(self, prompts: Any) -> Any:
        began = perf_counter()
        generated = super()._generate(prompts)
        self.watch.add("rollout", began)
        return generated

    def _generate_single_turn(self, *arguments: Any, **named: Any) -> Any:
        began = perf_counter()
        generated = super()._generate_single_turn(*arguments, **named)
        self.watch.add("sampling", began)
        return generated

    def _calculate_rewards(self, *arguments: Any) -> Any:
        began = perf_counter()
        rewards = super()._calculate_rewards(*arguments)
        self.watch.add("reward", began)
        return rewards

    def compute_loss(self, *arguments: Any, **named: Any) -> Any:
        began = perf_counter()
        loss = super().compute_loss(*arguments, **named)
        self.watch.add("forward", began)
        return loss

    def training_step(self, *arguments: Any, **named: Any) -> Any:
        began, before = perf_counter(), self.watch.seconds["generation"]
        loss = super().training_step(*arguments, **named)
        made = self.watch.seconds["generation"] - before  # of the batch, which a training step asks for
        self.watch.seconds["training"] += perf_counter() - began - made
        return loss


if __name__ == "__main__":
    main(Path(sys.argv[1]))
