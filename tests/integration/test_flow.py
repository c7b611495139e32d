"""The whole flow on a CPU through the command line, with budgets of a few steps: every stage for real."""

import json
import os
from contextlib import chdir
from pathlib import Path

import pytest
import yaml
from safetensors.torch import load_file
from torch import equal

from mentor.cli import main
from mentor.runs.manifest import read_manifest
from mentor.tasks.calculator import generate
from mentor.tools import Toolset
from tests.fixtures.wandb_files import wandb_history

SMALL = ["debug=default", "run=flow"]
RL = ["stage=rl", *SMALL]
FEW = ["trainer.steps=1", "trainer.prompts_per_step=4", "trainer.group_size=4"]  # where one step of any kind will do


@pytest.fixture(scope="module")
def work(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder in which the small demo has run once."""
    folder = tmp_path_factory.mktemp("flow")
    with chdir(folder):
        assert main(["experiment=demo", *SMALL]) == 0
        yield folder


@pytest.fixture(autouse=True)
def inside(work: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(work)


def summary(relative: str) -> dict:
    return json.loads(Path("outputs/flow", relative, "summary.json").read_text())


def records(relative: str) -> list[dict]:
    return [json.loads(line) for line in Path("outputs/flow", relative).read_text().splitlines()]


def weights(relative: str) -> dict:
    return load_file(Path("outputs/flow", relative, "model", "model.safetensors"))


def same(one: dict, other: dict) -> bool:
    return one.keys() == other.keys() and all(equal(one[name], other[name]) for name in one)


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
    assert main(["experiment=demo", *SMALL]) == 0
    assert capfd.readouterr().err.count("is done in") == 6
    assert {stage: summary(stage)["pid"] for stage in STAGES[:6]} == before


def test_a_sweep_has_a_process_and_a_folder_for_every_point():
    assert main(["-m", *RL, *FEW, "reward=flexible", "reward.weights.tool=0.1,0.3"]) == 0
    (sweep,) = Path("outputs/flow/sweeps").iterdir()
    points = list(read_manifest(sweep).values())
    assert [(point.status, point.overrides) for point in points] == [
        ("done", {"reward.weights.tool": weight}) for weight in (0.1, 0.3)
    ]
    summaries = [json.loads((sweep / point.point / "rl-flexible-s0/summary.json").read_text()) for point in points]
    assert len({entry["pid"] for entry in summaries}) == 2 and len({entry["config_hash"] for entry in summaries}) == 2
    assert all(len(entry["counts"]["base"].split("pretrain-s0")) == 2 for entry in summaries)
    assert [point.headline for point in points] == [entry["headline"] for entry in summaries]


@pytest.fixture(scope="module")
def repeated(work: Path) -> None:
    """`rl-a`, which W&B follows, and `rl-b`, which is the same otherwise."""
    few = [*RL, "reward=flexible", "sampler.deterministic=true", "trainer.prompts_per_step=4", "trainer.group_size=4"]
    assert main([*few, "name=a", "logger.wandb=offline"]) == 0
    assert main([*few, "name=b"]) == 0


def test_wandb_holds_what_metrics_jsonl_holds(repeated: None):
    (path,) = Path("outputs/flow/rl-a-s0").glob("wandb/offline-run-*/*.wandb")
    metrics = records("rl-a-s0/metrics.jsonl")
    assert len(metrics) == 2 and wandb_history(path) == metrics
    assert {"advantage/share_mixed", "policy/mismatch_kl", "throughput/update_tokens_per_s"} <= metrics[-1].keys()
    assert metrics[0]["policy/mismatch_kl"] < 1e-6, "both engines are the same model"


def test_the_same_seed_gives_the_same_numbers(repeated: None):
    assert all(summary(name)["counts"]["updates"] > 0 for name in ("rl-a-s0", "rl-b-s0"))
    assert same(weights("rl-a-s0"), weights("rl-b-s0"))
    assert not same(weights("rl-a-s0"), weights("pretrain-s0"))


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


def rows_of(split: str, count: int) -> str:
    """A file of MENTOR's shape: questions of one call, each with tools of its own (every other row has only four)."""
    toolset = Toolset.builtin("calculator")
    few = ("add", "subtract", "multiply", "divide")
    path = Path(f"{split}_rows.jsonl")
    with path.open("w") as file:
        for index, task in enumerate(generate(split, count, 1, 0)):
            schemas = [s for s in toolset.schemas if index % 2 == 0 or s["function"]["name"] in few]
            row = {
                "question": task.question,
                "reward_model": {"style": "rule", "ground_truth": [f"\\boxed{{{task.answer[0]}}}"]},
                "extra_info": json.dumps({"env": toolset.source, "func_schemas": schemas, "index": index}),
                "tool_calls_used": ["add"],
            }
            file.write(json.dumps(row) + "\n")
    return str(path)


def test_rows_with_their_own_tools_go_through_every_stage():
    """teacher=model on rows, then rl, eval and the report with the tools that each row brings."""
    rows = ["debug=default", "run=rows", "tools=row"]
    base = "outputs/flow/pretrain-s0/model"
    taught = ["task=rl_rows", f"task.path={rows_of('train', 24)}", "teacher=model", f"teacher.path={base}"]
    assert main(["stage=rollout", *rows, *taught, "teacher.samples=4"]) == 0
    few = ["trainer.steps=2", "trainer.prompts_per_step=4", "trainer.group_size=4"]
    assert main(["stage=rl", *rows, *few, "reward=flexible", f"model.path={base}"]) == 0
    held_out = ["benchmark=rl_rows", f"benchmark.rl_rows.task.path={rows_of('test', 8)}", "stage.samples=1"]
    assert main(["stage=eval", *rows, *held_out]) == 0
    assert main(["stage=report", "run=rows"]) == 0

    run = Path("outputs/rows")
    teacher = [json.loads(line) for line in (run / "rollout/trajectories.jsonl").read_text().splitlines()]
    stored = (run / "rl-flexible-s0/trajectories/trajectories.jsonl").read_text().splitlines()
    items = (run / "eval/rl-flexible-s0/rl_rows/items.jsonl").read_text().splitlines()
    students = [json.loads(line) for line in [*stored, *items]]
    for row in [*teacher, *students]:
        assert json.loads(row["tools"]) == row["task"]["tools"]["schemas"]
        assert not {call["name"] for call in row["calls"] if call["ok"]} - names_in(row["tools"])
    assert {len(names_in(row["tools"])) for row in students} == {4, 12}, "rows of both kinds were rolled out"
    assert any(call["ok"] for row in students for call in row["calls"])
    metrics = [json.loads(line) for line in (run / "rl-flexible-s0/metrics.jsonl").read_text().splitlines()]
    assert len(metrics) == 2 and sum(row["policy/updates"] for row in metrics) > 0
    assert "rl_rows" in (run / "report/results.json").read_text()


def names_in(schemas: str) -> set[str]:
    return {schema["function"]["name"] for schema in json.loads(schemas)}
