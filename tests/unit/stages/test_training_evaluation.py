"""The evaluations of training: their metrics, items that survive a stop, a share for every rank, and no effect on what
is learned."""

import json
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from threading import Barrier

import pytest
from safetensors.torch import load_file

from mentor.config import BenchmarkConfig, Config, ModelConfig, SamplerConfig, SftStage, SftTrainer, TaskConfig
from mentor.config import ToolsConfig as Tools
from mentor.environment import Environment, RolloutLimits
from mentor.jsonl import read_jsonl
from mentor.loggers import Logger
from mentor.loggers.console import Console
from mentor.policy.ranks import Ranks
from mentor.rewards.correctness import Grader
from mentor.sampling import Completion
from mentor.sampling.scripted_sampler import ScriptedSampler
from mentor.stages import sft
from mentor.stages.training_evaluation import PolicyEvaluation, as_evaluation, item_metrics, roll_back_items
from mentor.tools import Toolbox, Toolset
from mentor.types import StopReason, Task, Tokens, Trajectory
from tests.fixtures.training_run import make_run, run_stage

TASKS = [Task(f"t{n}", f"What is {n} plus 3?", (str(n + 3),), "", "test") for n in range(4)]


class Answering(ScriptedSampler):
    """Answers 5 to every question; `asked` counts them."""

    def __init__(self, chat) -> None:
        super().__init__({}, chat.end_ids)
        self.turn = chat.encode(rf"\boxed{{5}}{chat.eos_token}")
        self.asked = 0

    def step(self) -> list[Completion]:
        asked, self._asked = self._asked, []
        self.asked += len(asked)
        return [self._completion(session, self.turn) for session in asked]

    def end_session(self, session: str) -> None:
        """Nothing is kept of it."""


def config(**trainer) -> Config:
    return Config(
        stage=SftStage("sft", limit=6),
        model=ModelConfig("tiny"),
        tools=Tools("calculator"),
        sampler=SamplerConfig("transformers", max_running=3, max_tokens=420, max_turn_tokens=4, max_turns=2),
        benchmark={"mine": BenchmarkConfig(TaskConfig("jsonl"), {"test": "id"})},
        trainer=SftTrainer(batch_tokens=600, learning_rate=1e-2, eval_every=2, **trainer),
    )


def evaluation(chat, folder: Path, sampler: Answering, environment, answers, ranks: Ranks | None = None, **trainer):
    settings = as_evaluation(config(**trainer))
    return PolicyEvaluation(
        settings, {"mine": TASKS}, environment, folder, answers, None, Logger(Console(False)), ranks or Ranks()
    )


def opened(chat, sampler: Answering, lockstep: bool = False) -> Environment:
    return Environment(sampler, Toolbox(Toolset.builtin("calculator")), chat, RolloutLimits(), lockstep)


@pytest.mark.parametrize(("lockstep", "asked"), [(False, 6), (True, 8)])
def test_an_evaluation_goes_on_where_it_was_broken_off(chat, tmp_path: Path, lockstep: bool, asked: int):
    """Eight answers in batches of three, of which two are stored. With lockstep turns their batch is sampled again, so
    that it repeats bit for bit."""
    path = tmp_path / "evaluations" / "mine" / "items.jsonl"
    sampler = Answering(chat)
    with Grader() as answers, opened(chat, sampler, lockstep) as environment:
        evaluate = evaluation(chat, tmp_path, sampler, environment, answers, eval_samples=1)
        metrics = evaluate(2)
        assert sampler.asked == 8 and evaluate(2) == metrics and sampler.asked == 8, "all of it is stored"
        evaluate(4)
        lines = path.read_text().splitlines(keepends=True)
        assert [json.loads(line)["step"] for line in lines] == [2] * 8 + [4] * 8
        path.write_text("".join([*lines[:10], lines[10][:40]]))  # killed in the third answer of step 4
        sampler.asked = 0
        assert evaluate(4) == metrics and sampler.asked == asked
        again = [json.loads(line) for line in path.read_text().splitlines()]
        assert [(item["step"], item["mode"], item["task"]["id"]) for item in again] == [
            (json.loads(line)["step"], json.loads(line)["mode"], json.loads(line)["task"]["id"]) for line in lines
        ]
    roll_back_items(tmp_path, 2, Ranks())
    assert {item["step"] for item in read_jsonl(path)} == {2}
    assert len(path.with_name("items.rolled_back.jsonl").read_text().splitlines()) == 8
    # one of four questions has the answer 5, greedy and sampled alike
    assert metrics["eval/mine/accuracy"] == metrics["eval/mine/test/sampled/accuracy"] == 0.25
    assert metrics["eval/mine/tokens"] == 8 * len(sampler.turn)


class ThreadRanks(Ranks):
    """One of several ranks in the threads of a process."""

    def __init__(self, rank: int, handed: list, barrier: Barrier) -> None:
        self.rank, self.size = rank, len(handed)
        self._handed, self._barrier = handed, barrier

    def barrier(self) -> None:
        self._barrier.wait(timeout=30)

    def all_gather(self, value):
        self._handed[self.rank] = value
        self.barrier()
        gathered = list(self._handed)
        self.barrier()
        return gathered


def test_ranks_share_an_evaluation_and_have_the_same_metrics(chat, tmp_path: Path):
    handed, barrier, samplers = [None, None], Barrier(2), [Answering(chat), Answering(chat)]

    def rank(number: int) -> dict[str, float]:
        with Grader() as answers, opened(chat, samplers[number]) as environment:
            ranks = ThreadRanks(number, handed, barrier)
            return evaluation(chat, tmp_path, samplers[number], environment, answers, ranks)(2)

    with ThreadPoolExecutor(2) as threads:
        one, other = threads.map(rank, range(2))
    assert one == other and [sampler.asked for sampler in samplers] == [2, 2]
    items = list(read_jsonl(tmp_path / "evaluations" / "mine" / "items.jsonl"))
    assert [item["task"]["id"] for item in items] == ["t0", "t1", "t2", "t3"]


def test_the_metrics_of_a_benchmark():
    def item(split: str, mode: str, correct: bool | None, sampled: int) -> dict:
        tokens = Tokens()
        tokens.append_context([1, 2])
        tokens.append_sampled([3] * sampled, [0.0] * sampled)
        trajectory = Trajectory(replace(TASKS[0], split=split), [], "[]", StopReason.ANSWERED, [], tokens)
        return {"mode": mode, "with_tools": True, "correct": correct, "scores": {}, **trajectory.to_dict()}

    greedy = [item("a", "greedy", True, 3), item("a", "greedy", False, 2), item("b", "greedy", True, 1)]
    sampled = [item("a", "sampled", False, 5), item("b", "sampled", None, 5)]
    metrics = item_metrics([*greedy, *sampled], "eval/mine", {"a": "id", "b": "ood"})
    assert metrics["eval/mine/accuracy"] == pytest.approx(2 / 3) and metrics["eval/mine/tokens"] == 16
    by_row = {key.split("/", 2)[2]: value for key, value in metrics.items() if key.endswith("y") and key.count("/") > 2}
    assert by_row == {
        **{"a/greedy/accuracy": 0.5, "a/sampled/accuracy": 0.0},
        **{"b/greedy/accuracy": 1.0, "b/sampled/accuracy": 0.0},
    }
    only_sampled = item_metrics(sampled, "eval/mine", {"a": "id", "b": "ood"})
    assert only_sampled["eval/mine/accuracy"] == 0.0, "of one answer, as the other has no verdict"


def test_sft_is_evaluated_and_learns_the_same_as_without(conversations, chat, tmp_path: Path):
    make_run(tmp_path, chat, conversations[:8])
    rows = [{"question": task.question, "answer": task.answer[0]} for task in TASKS]
    (tmp_path / "rows.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    settings = config(steps=3, keep="all")
    settings.benchmark["mine"].task.path = str(tmp_path / "rows.jsonl")
    result = run_stage(sft.run, settings, tmp_path, "sft-s0")
    folder = tmp_path / "sft-s0"
    stored = list(read_jsonl(folder / "metrics.jsonl"))
    assert [(row["step"], "loss/train" in row, "eval/mine/accuracy" in row) for row in stored] == [
        *((1, True, False), (2, True, False), (2, False, True), (3, True, False), (3, False, True))
    ]
    assert result.seconds["evaluation"] == pytest.approx(sum(row.get("time/eval_s", 0.0) for row in stored))
    assert [item["step"] for item in read_jsonl(folder / "evaluations" / "mine" / "items.jsonl")] == [2] * 4 + [3] * 4
    plain = Config(
        stage=SftStage("sft", limit=6),
        model=ModelConfig("tiny"),
        trainer=SftTrainer(steps=3, batch_tokens=600, learning_rate=1e-2),
    )
    run_stage(sft.run, plain, tmp_path, "sft-s1")
    evaluated, alone = (load_file(tmp_path / name / "model" / "model.safetensors") for name in ("sft-s0", "sft-s1"))
    assert all((evaluated[name] == alone[name]).all() for name in alone)
    assert sorted(path.name for path in (folder / "checkpoints").iterdir()) == ["step-00000002", "step-00000003"]
