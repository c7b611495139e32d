"""The evaluations of a training stage: the policy on the chosen benchmarks, in between its steps.

They sample as `stage=eval` does, with the stage's own rollout engine, tools and limits. Their items are kept in
`evaluations/<benchmark>/items.jsonl`, each with its step, so an evaluation that was broken off goes on.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from itertools import chain
from pathlib import Path

from mentor.chat import ChatFormat
from mentor.config import Config, EvalStage, SamplerConfig, ScaledTrainer, ToolsConfig
from mentor.endpoints.background import BackgroundEndpoint
from mentor.environment import Environment
from mentor.evaluation.graders import open_grader
from mentor.evaluation.results import summarise
from mentor.jsonl import roll_back
from mentor.loggers import Logger
from mentor.policy import Policy
from mentor.policy.control import Evaluate
from mentor.policy.ranks import Ranks
from mentor.rewards.correctness import Grader
from mentor.sampling import Canary, push_weights
from mentor.stages.benchmark_items import Item, answer, count_ungraded, requests, stored_items
from mentor.stages.benchmark_tasks import benchmark_tasks, count_seen
from mentor.stages.judging import open_judge
from mentor.stages.perturbing import say_left_out
from mentor.stages.student import policy_environment
from mentor.stages.taught_tasks import fitting_prompt
from mentor.stages.tooling import configured_toolbox, say_counts
from mentor.timer import Timer
from mentor.types import Task

FOLDER = "evaluations"


def as_evaluation(config: Config) -> Config:
    """Return the config of a training stage as that of the `stage=eval` which its evaluations are."""
    trainer = config.trainer
    assert isinstance(trainer, ScaledTrainer)
    stage = EvalStage("eval", trainer.eval_limit, trainer.eval_greedy, trainer.eval_samples)
    return replace(config, stage=stage, reward=None)


def evaluation_tasks(config: Config, root: Path, logger: Logger) -> dict[str, list[Task]]:
    """Load the tasks of the benchmarks that a training stage evaluates, by their names; none where it does not.

    Raises as `benchmark_tasks`.
    """
    settings = as_evaluation(config)
    tasks: dict[str, list[Task]] = {}
    for name, entry in config.benchmark.items():
        pathless: list[str] = []
        tasks[name] = benchmark_tasks(name, entry, settings, pathless=pathless)
        say_left_out(name, pathless, tasks[name], logger.message)
    count_seen(tasks, root, logger)
    return tasks


def roll_back_items(folder: Path, step: int, ranks: Ranks) -> None:
    """Move aside what was stored of evaluations after `step`. folder: of the stage."""
    for path in folder.glob(f"{FOLDER}/*/items.jsonl") if ranks.is_main else ():
        roll_back(path, step)
    ranks.barrier()


@dataclass(frozen=True)
class PolicyEvaluation:
    """Evaluates what the environment's rollout engine holds; every rank takes part.

    config: of the evaluation (`as_evaluation`). tasks: by benchmark. judge: for graders that ask one.
    """

    config: Config
    tasks: Mapping[str, Sequence[Task]]
    environment: Environment
    folder: Path
    answers: Grader
    judge: BackgroundEndpoint | None
    logger: Logger
    ranks: Ranks

    def __call__(self, step: int) -> dict[str, float]:
        """Return the metrics of all benchmarks after `step` steps, the same on every rank. Raises GraderError."""
        metrics: dict[str, float] = {}
        for name, tasks in self.tasks.items():
            items = self._items(name, tasks, step)
            count_ungraded(items, f"{name} after step {step}")
            metrics |= item_metrics(items, f"eval/{name}", self.config.benchmark[name].splits)
            self.logger.message(
                f"step {step}: {items[0]['mode']} accuracy on {name} {metrics[f'eval/{name}/accuracy']:.1%}"
            )
        return metrics

    def _items(self, name: str, tasks: Sequence[Task], step: int) -> list[Item]:
        stage, sampling, entry = self.config.stage, self.config.sampler, self.config.benchmark[name]
        assert isinstance(stage, EvalStage) and isinstance(sampling, SamplerConfig)
        path, report = self.folder / FOLDER / name / "items.jsonl", self.logger.message
        wanted, running = requests(tasks, stage, sampling, self.config.seed), sampling.max_running
        items = stored_items(wanted, path, self.environment, running, self.logger, self.ranks, step)
        with open_grader(entry.grader, entry.terms, self.answers, report, stage.grader_timeout_s, self.judge) as grader:
            return answer(wanted, items, path, self.environment, grader, running, self.logger, self.ranks, step=step)


@contextmanager
def open_evaluation(
    config: Config,
    tasks: Mapping[str, Sequence[Task]],
    environment: Environment,
    folder: Path,
    judge: BackgroundEndpoint | None,
    logger: Logger,
    ranks: Ranks,
) -> Iterator[PolicyEvaluation | None]:
    """Open the evaluations of a training stage; None where it has no benchmark. The arguments are the fields'."""
    if not tasks:
        yield None
        return
    settings = as_evaluation(config)
    assert isinstance(settings.stage, EvalStage)
    with Grader(settings.stage.grader_timeout_s) as answers:
        yield PolicyEvaluation(settings, tasks, environment, folder, answers, judge, logger, ranks)


@contextmanager
def open_supervised_evaluation(
    config: Config,
    tasks: Mapping[str, Sequence[Task]],
    base: Path | str,
    chat: ChatFormat,
    policy: Policy,
    folder: Path,
    logger: Logger,
) -> Iterator[Evaluate | None]:
    """Open the evaluations of a stage that samples for nothing else, with a rollout engine that sleeps in between."""
    if not tasks:
        yield None
        return
    tools, sampling, ranks = config.tools, config.sampler, policy.ranks
    assert isinstance(tools, ToolsConfig) and isinstance(sampling, SamplerConfig)
    toolbox = configured_toolbox(tools, logger.message, ranks.local_size)
    canary = Canary(fitting_prompt([*chain(*tasks.values())], toolbox, chat, sampling.max_tokens))
    with (
        policy_environment(config, base, chat, policy, toolbox, ranks) as environment,
        open_judge(as_evaluation(config), folder, logger.message, ranks.size, ranks.rank) as judge,
        open_evaluation(config, tasks, environment, folder, judge, logger, ranks) as evaluation,
    ):
        assert evaluation is not None
        environment.sampler.sleep()

        def evaluate(step: int) -> dict[str, float]:
            push_weights(policy, environment.sampler, canary, 1.0, step, Timer())
            metrics = evaluation(step)
            environment.sampler.sleep()
            return metrics

        yield evaluate
        say_counts(toolbox, logger)


def item_metrics(items: Sequence[Item], prefix: str, splits: Mapping[str, str]) -> dict[str, float]:
    """Compute the metrics of one benchmark: of all its items, and of each split in each mode.

    `<prefix>/accuracy` is over the items of the first mode, greedy before sampled: correct over graded ones.
    `<prefix>/tokens` counts the sampled tokens of all items.
    """
    metrics: dict[str, float] = {}
    first = [item for item in items if item["mode"] == items[0]["mode"]]
    graded = [item["correct"] for item in first if item["correct"] is not None]
    metrics[f"{prefix}/accuracy"] = sum(graded) / len(graded) if graded else 0.0
    metrics[f"{prefix}/tokens"] = float(sum(sum(item["tokens"]["loss_mask"]) for item in items))
    for row in summarise(items, splits):
        for key in ("accuracy", "calls_per_answer", "valid_call_rate"):
            if row[key] is not None:
                metrics[f"{prefix}/{row['split']}/{row['mode']}/{key}"] = row[key]
    return metrics
