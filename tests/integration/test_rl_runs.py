"""RL over one pretraining and one rollout, through the command line: points of a sweep, equal seeds, rows with tools of
their own."""

import json
from contextlib import chdir
from pathlib import Path

import pytest
from safetensors.torch import load_file
from torch import equal

from mentor.cli import main
from mentor.sweeps.manifest import read_manifest
from mentor.tasks.calculator import generate
from mentor.tools import Toolset
from mentor.trajectories.store import load_trajectories
from scripts import bench_step
from scripts.step_benchmark.steps import PARTS, PHASES
from tests.fixtures.flow import FEW, SMALL, records, summary
from tests.fixtures.wandb_files import wandb_history

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def work(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a student and what a teacher did."""
    folder = tmp_path_factory.mktemp("rl")
    with chdir(folder):
        assert main(["stage=pretrain", *SMALL]) == 0
        assert main(["stage=rollout", *SMALL]) == 0
        yield folder


@pytest.fixture(autouse=True)
def inside(work: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(work)


def weights(relative: str) -> dict:
    return load_file(Path("outputs/flow", relative, "model", "model.safetensors"))


def same(one: dict, other: dict) -> bool:
    return one.keys() == other.keys() and all(equal(one[name], other[name]) for name in one)


def test_a_sweep_has_a_process_and_a_folder_for_every_point():
    sweep = ["reward=flexible", "reward.weights.tool=0.1,0.3"]
    assert main(["-m", "stage=rl", *SMALL, *FEW, "trainer.steps=1", *sweep]) == 0
    (folder,) = Path("outputs/flow/sweeps").iterdir()
    points = list(read_manifest(folder).values())
    assert [(point.status, point.overrides) for point in points] == [
        ("done", {"reward.weights.tool": weight}) for weight in (0.1, 0.3)
    ]
    summaries = [json.loads((folder / point.point / "rl-flexible-s0/summary.json").read_text()) for point in points]
    assert len({entry["pid"] for entry in summaries}) == 2 and len({entry["config_hash"] for entry in summaries}) == 2
    assert all(len(entry["counts"]["base"].split("pretrain-s0")) == 2 for entry in summaries)
    assert [point.headline for point in points] == [entry["headline"] for entry in summaries]


REPEATED = [
    *("stage=rl", *SMALL, *FEW, "reward=flexible", "sampler.deterministic=true", "trainer/algorithm=gdpo"),
    *("trainer.credit=turn", "trainer.curriculum.draw=success", "trainer.curriculum.rest_steps=1"),
]


@pytest.fixture(scope="module")
def repeated(work: Path) -> None:
    """`rl-a`, which W&B follows, and `rl-b`, which is the same otherwise: each term by itself, credit by turn."""
    assert main([*REPEATED, "name=a", "logger.backends=[wandb]"]) == 0
    assert main([*REPEATED, "name=b"]) == 0


def test_wandb_holds_what_metrics_jsonl_holds(repeated: None):
    (path,) = Path("outputs/flow/rl-a-s0").glob("wandb/offline-run-*/*.wandb")
    metrics = records("rl-a-s0/metrics.jsonl")
    assert len(metrics) == 2 and wandb_history(path) == metrics
    assert {"advantage/share_mixed", "policy/mismatch_kl", "throughput/update_tokens_per_s"} <= metrics[-1].keys()
    assert metrics[-1]["advantage/turn_difference"] > 0 and 0 < metrics[-1]["curriculum/seen"] < 1
    assert metrics[0]["policy/mismatch_kl"] < 1e-6, "both engines are the same model"


def test_the_same_seed_gives_the_same_numbers(repeated: None):
    assert all(summary(name)["counts"]["updates"] > 0 for name in ("rl-a-s0", "rl-b-s0"))
    assert same(weights("rl-a-s0"), weights("rl-b-s0"))
    assert not same(weights("rl-a-s0"), weights("pretrain-s0"))


def test_two_sampler_processes_draw_what_one_process_draws(repeated: None):
    assert main([*REPEATED, "name=processes", "sampler.placement=separate", "sampler.engines=2"]) == 0
    folders = (Path("outputs/flow", f"rl-{name}-s0", "trajectories") for name in ("a", "processes"))
    alone, apart = (load_trajectories(folder / "trajectories.jsonl") for folder in folders)
    assert len(alone) == len(apart) > 0
    assert [entry.tokens.token_ids for entry in alone] == [entry.tokens.token_ids for entry in apart]
    metrics = records("rl-processes-s0/metrics.jsonl")
    assert all(step["sync/push_gib"] > 0 and step["policy/mismatch_kl"] < 1e-6 for step in metrics)


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
    assert main(["stage=rl", *rows, *FEW, "trainer.steps=2", "reward=flexible", f"model.path={base}"]) == 0
    held_out = ["benchmark=rl_rows", f"benchmark.rl_rows.task.path={rows_of('test', 8)}", "stage.samples=1"]
    assert main(["stage=eval", *rows, *held_out]) == 0
    assert main(["stage=report", "run=rows"]) == 0

    run = Path("outputs/rows")
    teacher = load_trajectories(run / "rollout/trajectories.jsonl")
    trained = load_trajectories(run / "rl-flexible-s0/trajectories/trajectories.jsonl")
    students = [*trained, *load_trajectories(run / "eval/rl-flexible-s0/rl_rows/items.jsonl")]
    for trajectory in [*teacher, *students]:
        assert trajectory.task.tools is not None and json.loads(trajectory.tools) == trajectory.task.tools.schemas
        assert not {call.name for call in trajectory.executed_calls()} - names_in(trajectory.tools)
    assert {len(names_in(trajectory.tools)) for trajectory in students} == {4, 12}, "rows of both kinds were rolled out"
    assert any(trajectory.executed_calls() for trajectory in students)
    metrics = [json.loads(line) for line in (run / "rl-flexible-s0/metrics.jsonl").read_text().splitlines()]
    assert len(metrics) == 2 and sum(row["policy/updates"] for row in metrics) > 0
    assert "rl_rows" in (run / "report/results.json").read_text()


def names_in(schemas: str) -> set[str]:
    return {schema["function"]["name"] for schema in json.loads(schemas)}


def test_a_step_is_measured_by_phase(work: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    """Its output shows what a change has slowed."""
    sizes = ["--prompts", "4", "--group-size", "4", "--steps", "2", "--rounds", "1", "--threads", "1"]
    record = tmp_path / "step.json"
    assert bench_step.main([*sizes, "--run", str(work / "outputs" / "flow"), "--json", str(record)]) == 0
    printed = capsys.readouterr().out
    with capsys.disabled():
        print(f"\n{printed}")
    steps, _, machine, update = json.loads(record.read_text())["tables"]
    seconds = dict(steps["rows"])
    parts = {f"- {part}" for phase in PARTS.values() for part in phase}
    assert set(seconds) == {*PHASES, *parts, "whole step", "sampled tokens", "trained tokens"}
    for phase, names in PARTS.items():
        assert 0 < sum(seconds[f"- {part}"] for part in names) <= 1.01 * seconds[phase], phase
    assert sum(seconds[phase] for phase in PHASES) == pytest.approx(seconds["whole step"])  # the mean of two steps
    assert 0 <= seconds["rest"] < 0.2 * seconds["whole step"]
    assert all(min(found) > 0 for _, *found in machine["rows"])
    ((name, done, unshared, *_),) = update["rows"]
    assert name == "now" and 0 < done <= unshared
