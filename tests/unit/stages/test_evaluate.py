"""One model on one benchmark, with a scripted student: with tools and without, sampled twice, then found done."""

import json
from dataclasses import asdict, replace
from pathlib import Path

import pytest

from mentor.config import BenchmarkConfig, Config, EvalStage, JudgeConfig, SamplerConfig, TaskConfig, ToolsConfig, dump
from mentor.environment import Environment, RolloutLimits
from mentor.loggers import Logger
from mentor.loggers.console import Console
from mentor.rewards.correctness import Grader
from mentor.runs import Evaluation
from mentor.runs.evaluations import trained_on
from mentor.runs.folder import write_config
from mentor.runs.provenance import read_summary
from mentor.sampling.scripted_sampler import ScriptedSampler
from mentor.stages.evaluate import evaluate
from mentor.tools import Toolbox, Toolset
from mentor.trajectories.store import load_trajectories
from mentor.types import Task
from tests.fixtures.judge_server import JudgeServer, judge_keys, write_rubric

TASKS = [Task(name, "What is 2 plus 3?", ("5",), "", "test") for name in ("a", "b")]
RIGHT, WRONG = r"\boxed{5}", r"\boxed{6}"
ANSWERS = [RIGHT, WRONG, WRONG, WRONG, RIGHT, WRONG, RIGHT, WRONG]  # with tools: a, b, a, b; without: the same


def config() -> Config:
    return Config(
        stage=EvalStage("eval", greedy=False, samples=2, with_tools=[True, False]),
        tools=ToolsConfig("calculator"),
        sampler=SamplerConfig("transformers"),
        benchmark={"mine": BenchmarkConfig(TaskConfig("jsonl"), {"test": "id:calculator"})},
    )


def test_rows_of_both_ways_and_a_domain_that_is_known_later(chat, tmp_path: Path):
    settings = config()
    job = Evaluation(tmp_path / "model", "m", "mine", dump(settings))
    script = {str(i): [chat.encode(answer + chat.eos_token)] for i, answer in enumerate(ANSWERS)}
    sampler, toolbox = ScriptedSampler(script, chat.end_ids), Toolbox(Toolset.builtin("calculator"))
    with Grader() as answers, Environment(sampler, toolbox, chat, RolloutLimits()) as environment:
        given = (settings, tmp_path / "eval", environment, answers, Logger(Console(False)))
        with_tools, without = evaluate(job, TASKS, *given)
        assert (with_tools["with_tools"], without["with_tools"]) == (True, False)
        assert (with_tools["accuracy"], without["accuracy"]) == (0.25, 0.5)
        # with: a 1 of 2, b 0 of 2; without: a 2 of 2, b 0 of 2
        assert with_tools["pass_at"] == {"1": 0.25, "2": 0.5} and without["pass_at"] == {"1": 0.5, "2": 0.5}
        assert (with_tools["domain"], with_tools["domain_of"]) == ("unknown", None)
        evaluate(replace(job, trained_on="calculator"), TASKS, *given)  # nothing is sampled: the script is at its end
    rows = (read_summary(tmp_path / "eval" / "m" / "mine") or {})["results"]
    assert [(row["domain"], row["domain_of"]) for row in rows] == [("id", "calculator")] * 2
    items = [json.loads(line) for line in (tmp_path / "eval/m/mine/items.jsonl").read_text().splitlines()]
    assert [item["with_tools"] for item in items] == [True] * 4 + [False] * 4
    stored = load_trajectories(tmp_path / "eval/m/mine/items.jsonl")
    assert [len(json.loads(trajectory.tools)) for trajectory in stored] == [12] * 4 + [0] * 4


def test_a_judge_keeps_its_answers_in_the_folder_of_the_evaluation(chat, tmp_path: Path):
    pytest.importorskip("openai")
    with JudgeServer() as server:  # right for 72, whatever the question
        entry = BenchmarkConfig(TaskConfig("jsonl"), {"test": "ood"}, grader=f"judge:{write_rubric(tmp_path)}")
        judge, stage = JudgeConfig(**judge_keys(server)), EvalStage("eval", greedy=False)
        settings = replace(config(), judge=judge, stage=stage, benchmark={"mine": entry})
        job = Evaluation(tmp_path / "model", "m", "mine", dump(settings))
        script = {str(i): [chat.encode(f"It is {said}.{chat.eos_token}")] for i, said in enumerate((72, 71))}
        sampler, toolbox = ScriptedSampler(script, chat.end_ids), Toolbox(Toolset.builtin("calculator"))
        with Grader() as answers, Environment(sampler, toolbox, chat, RolloutLimits()) as environment:
            for _ in range(2):  # the second time it is done, and nobody is asked
                given = (settings, tmp_path / "eval", environment, answers, Logger(Console(False)))
                [row] = evaluate(job, TASKS, *given)
                assert (row["accuracy"], row["n"], len(server.bodies)) == (0.5, 2, 2)
    assert len((tmp_path / "eval/m/mine/judge/answers.jsonl").read_text().splitlines()) == 2


def test_what_a_run_trains_on_is_read_from_its_rollout(tmp_path: Path):
    for run, task in {"here": TaskConfig("calculator"), "there": TaskConfig("jsonl", data_set="hotpotqa")}.items():
        (tmp_path / run / "rollout").mkdir(parents=True)
        write_config(tmp_path / run / "rollout", {"stage": {"name": "rollout"}, "task": asdict(task)})
    here = tmp_path / "here"
    assert trained_on("some/hub", here) == trained_on(here / "sft-s0" / "model", here) == "calculator"
    assert trained_on(tmp_path / "there" / "rl-flexible-s0" / "model", here) == "hotpotqa"
    assert trained_on(here / "pretrain-s0" / "model", tmp_path / "none") is None
