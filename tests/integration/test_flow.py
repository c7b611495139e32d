"""The whole flow on a CPU through the command line, with budgets of a few steps: every stage for real."""

import json
import os
from contextlib import chdir
from pathlib import Path

import pytest
import yaml

from mentor.cli import main
from tests.fixtures.flow import FEW, SMALL, records, summary

DEMO = ["experiment=easy_success", *SMALL, *FEW]
RL = ["stage=rl", *SMALL]


@pytest.fixture(scope="module")
def work(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder in which the small pipeline has run once."""
    folder = tmp_path_factory.mktemp("flow")
    with chdir(folder):
        assert main(DEMO) == 0
        yield folder


@pytest.fixture(autouse=True)
def inside(work: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(work)


TRAINED = ["pretrain-s0", "sft-s0", "rl-sparse-s0", "rl-strict-s0", "rl-flexible-s0"]
STAGES = ["rollout", *TRAINED, "eval", "report"]


@pytest.mark.parametrize("stage", STAGES)
def test_every_stage_leaves_its_config_and_what_it_did(stage: str):
    done = summary(stage)
    assert done["status"] == "done" and done["seconds"]["total"] > 0 and len(done["config_hash"]) == 16
    assert yaml.safe_load(Path("outputs/flow", stage, "config.yaml").read_text())["stage"]["name"] == done["stage"]
    assert {"torch", "transformers", "python"} <= done["versions"].keys()


def test_every_stage_ran_in_a_process_of_its_own():
    pids = [summary(stage)["pid"] for stage in STAGES]
    assert len(set(pids)) == len(STAGES) and os.getpid() not in pids


def test_rl_trained_on_the_teachers_tasks_and_kept_its_trajectories():
    taught = {row["task"]["id"] for row in records("rollout/trajectories.jsonl")}
    done = summary("rl-flexible-s0")
    assert done["counts"]["tasks"] == len(taught) and done["counts"]["tasks_without_teacher"] == 0
    metrics = records("rl-flexible-s0/metrics.jsonl")
    assert [row["step"] for row in metrics] == list(range(1, len(metrics) + 1))
    assert {"reward/mean", "reward/correct", "groups/zero_variance", "time/rollout_s"} <= metrics[0].keys()
    stored = records("rl-flexible-s0/trajectories/trajectories.jsonl")
    assert stored and {row["task"]["id"] for row in stored} <= taught
    for row in stored:
        tokens = row["tokens"]
        assert len(tokens["token_ids"]) == len(tokens["loss_mask"]) == len(tokens["logprobs"])
        assert set(row["reward"]["terms"]) == {"correct", "match", "valid"}


def test_evaluation_covers_every_model_split_and_mode():
    models = sorted(path.name for path in Path("outputs/flow/eval").iterdir() if path.is_dir() and "-s0" in path.name)
    assert models == sorted(TRAINED)
    for model in models:
        rows = summary(f"eval/{model}/calculator")["results"]
        assert [(row["split"], row["domain"]) for row in rows[::2]] == [
            ("test", "id"), ("long", "ood"), ("wording", "ood"), ("combo", "ood"), ("numbers", "ood"),
        ]  # fmt: skip
        assert [row["mode"] for row in rows] == ["greedy", "sampled"] * 5
        assert all(row["low"] <= row["accuracy"] <= row["high"] for row in rows)


def test_questions_that_were_trained_on_are_counted():
    assert summary("eval")["counts"]["seen_in_training"] == {"calculator": 0}
    tasks = [row["task"] for row in records("rollout/trajectories.jsonl")]
    rows = [{"question": f" {tasks[0]['question'].upper()}", "answer": "1"}, {"question": "A new one?", "answer": "1"}]
    Path("seen.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    path = ["benchmark=jsonl", "benchmark.jsonl.task.path=seen.jsonl"]
    assert main(["stage=eval", *SMALL, *path, "model.path=outputs/flow/pretrain-s0/model"]) == 0
    assert summary("eval")["counts"]["seen_in_training"] == {"jsonl": 1}


def test_the_report_holds_the_numbers_of_the_evaluation():
    page = Path("outputs/flow/report/report.html").read_text()
    assert "rl-flexible-s0" in page and "http://" not in page.replace("http://www.w3.org", "")
    results = json.loads(Path("outputs/flow/report/results.json").read_text())
    assert "rl-flexible-s0" in json.dumps(results)


def test_running_it_again_does_nothing_twice(capfd: pytest.CaptureFixture[str]):
    before = {stage: summary(stage)["pid"] for stage in STAGES[:6]}
    assert main(DEMO) == 0
    assert capfd.readouterr().err.count("is done in") == 6
    assert {stage: summary(stage)["pid"] for stage in STAGES[:6]} == before


def test_rl_that_cannot_learn_is_an_error(capfd: pytest.CaptureFixture[str]):
    """A temperature so low that all trajectories of a group are the same one: every group is dead."""
    command = [*RL, "reward=sparse", "name=dead", "sampler.temperature=0.01", "trainer.prompts_per_step=2"]
    assert main([*command, "trainer.steps=1"]) == 1
    said = capfd.readouterr().err
    assert "alarm at step 1" in said and "no optimiser step in 1 steps" in said and "Traceback" not in said
    assert summary("rl-dead-s0")["status"] == "failed" and not Path("outputs/flow/rl-dead-s0/model").exists()


def test_a_model_folder_without_tokenizer_starts_nothing(capfd: pytest.CaptureFixture[str]):
    bare = Path("bare")
    bare.mkdir()
    (bare / "config.json").write_text("{}")
    for command in (["stage=sft", *SMALL, "init=bare", "seed=9"], ["stage=eval", *SMALL, "model.path=bare"]):
        assert main(command) == 2
        assert "bare` has no tokenizer" in capfd.readouterr().err
    assert not Path("outputs/flow/sft-s9").exists()


def test_an_overwrite_with_bad_input_loses_nothing(capfd: pytest.CaptureFixture[str]):
    before = Path("outputs/flow/rollout/trajectories.jsonl").read_bytes()
    Path("rows.jsonl").write_text('{"question": "How many?", "answer": {}}\n')
    command = ["stage=rollout", *SMALL, "task=jsonl", "task.path=rows.jsonl", "teacher=annotated", "overwrite=true"]
    assert main(command) == 2
    assert "rows.jsonl:1" in capfd.readouterr().err
    assert Path("outputs/flow/rollout/trajectories.jsonl").read_bytes() == before
    assert summary("rollout")["status"] == "done"


def test_a_file_edited_in_place_is_another_configuration(capfd: pytest.CaptureFixture[str]):
    rows = Path("edited.jsonl")
    reference = [{"name": "add", "arguments": {"a": 1, "b": 2}}]
    rows.write_text(json.dumps({"question": "1 plus 2?", "answer": 3, "reference": reference}) + "\n")
    command = [
        "stage=rollout",
        "run=edited",
        "task=jsonl",
        "task.path=edited.jsonl",
        "teacher=annotated",
        "logger=quiet",
    ]
    assert main(command) == 0
    rows.write_text(rows.read_text().replace("1 plus 2?", "One plus two?"))
    assert main(command) == 2
    assert "upstream.task_file" in capfd.readouterr().err


def test_rl_refuses_a_toolset_the_teacher_did_not_use(capfd: pytest.CaptureFixture[str]):
    Path("tools.py").write_text('def add(a: float, b: float) -> float:\n    """Add."""\n    return a + b\n')
    assert main([*RL, "name=tools", "tools=file", "tools.path=tools.py"]) == 2
    assert "another toolset" in capfd.readouterr().err
    assert not Path("outputs/flow/rl-tools-s0").exists()
