"""Commands through `main`: bad input is one line and exit code 2, stages resume, sweeps survive a failure."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from mentor.cli import main
from mentor.conf_dir import conf_dir
from mentor.config import RENAMED_KEYS
from mentor.sweeps.manifest import read_manifest

REPOSITORY = conf_dir().parent


def test_a_command_composes_and_checks_without_torch(work: Path):
    code = (
        "import sys; from mentor.cli import main; code = main(['stage=rl', 'reward=strict']);"
        "sys.exit(10 if 'torch' in sys.modules or 'transformers' in sys.modules else code)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, cwd=work, env={"PYTHONPATH": str(REPOSITORY)}
    )
    assert done.returncode == 2, done
    assert "mentor stage=rollout" in done.stderr


@pytest.mark.parametrize(
    ("command", "message"),
    [
        ("seed=1", "`stage` is not given; accepted: rollout, pretrain"),
        ("stage=rx", "`stage=rx` is not a preset; accepted: chat, check, eval"),
        ("stage=rl reward=flexibel", "did you mean `flexible`?"),
        ("stage=rl trainer=ppo", "`trainer=` names no known preset; accepted: trainer=rl"),
        ("stage=rl experiment=nope", "`experiment=nope` is not a preset"),
        ("stage=rl trainer.stps=3", "`trainer.stps` is not a key; did you mean `trainer.steps`?"),
        ("stage=rl fo=3", "`fo` is not a key; accepted: stage, run"),
        ("stage=rl +trainer.x=3", "`trainer.x` is not a key"),
        ("stage=rl trainer.steps=abc", "`trainer.steps=abc` is not accepted: Value 'abc' of type 'str'"),
        ("stage=rl trainer.batch_tokens=64", "`trainer.batch_tokens` is a key of other stages, not of this one"),
        ("stage=check stage.limit=3", "`stage.limit` is a key of other stages, not of this one"),
        ("stage=rl trainer=sft", "`trainer=` names a preset of another stage; accepted: trainer=rl"),
        ("stage=sft reward=flexible", "`reward` is not read by stage=sft; it reads model, trainer"),
        (
            "stage=eval trainer.steps=3",
            "`trainer` is not read by stage=eval; it reads tools, model, sampler, benchmark",
        ),
        ("stage=rollout init=sft", "`init` is not read by stage=rollout"),
        ("-m stage=sft reward.weights.tool=1,2", "`reward` is not read by stage=sft"),
        ("stage=rl seed=0,1", "-m sweeps over them"),
        ("-m stage=rl seed=0,1 hydra/launcher=basic", "`hydra/launcher` is not accepted: launcher=local"),
        ("stage=rl nonsense", "`nonsense` is not an override"),
        ("stage=rollout task.path=${nowhere}", "Interpolation key 'nowhere' not found full_key: task.path"),
        ("stage=rl --nonsense", "`--nonsense` is not an option"),
        ("stage=rl --config-dir=/nonexistent", "/nonexistent"),
        ("stage=rl sampler.top_p=0.9", "`sampler.top_p=0.9`"),
        ("stage=score", "`stage.input` is not set"),
        ("stage=score stage.input=no.jsonl stage.output=out.jsonl", "`stage.input=no.jsonl` is not a file"),
        ("stage=score stage.input=rows.jsonl stage.output=o stage.presets=[spars]", "did you mean `sparse`?"),
        ("stage=score stage.input=rows.jsonl stage.output=o stage.grid={weights.tol:[0]}", "has the key 'weights.tol'"),
        ("stage=score stage.input=rows.jsonl stage.output=o stage.grid=3", "`stage.grid=3` is not accepted"),
        (
            "stage=score stage.input=rows.jsonl stage.output=o stage.grid={gate:[none]} stage.grid_base=flexibel",
            "did you mean `flexible`?",
        ),
        ("stage=sft", "outputs/default/rollout/trajectories.jsonl is missing: run `mentor stage=rollout` first"),
        ("stage=eval", "has no model yet"),
        ("stage=chat", "has no model yet"),
        ("stage=serve", "has no model yet"),
        (
            "stage=serve model.path=owner/name stage.host=0.0.0.0",
            "`stage.host=0.0.0.0` lets other machines ask without a key",
        ),
        (
            "stage=serve model.path=owner/name sampler.deterministic=true",
            "`sampler.deterministic` is read with stage=rollout",
        ),
        ("stage=push", "has no model yet"),
        ("stage=push model.dtype=bfloat16", "`model.dtype` is not read by stage=push; of model it reads model.path"),
        ("stage=push stage.dry_run=false", "`stage.repo` is not set, and stage.dry_run=false sends a model"),
        ("stage=push stage.repo=owner", "`stage.repo=owner` is no name on the Hub; accepted: <owner>/<name>"),
        ("stage=push stage.repo=a--b/c", "`stage.repo=a--b/c` is no name on the Hub"),
        ("-m stage=chat seed=0,1", "`stage=chat` is no point of a sweep: leave -m out"),
        ("stage=eval model.path=rows.jsonl", "`model.path=rows.jsonl` is not a folder"),
        ("experiment=demo reward=sparse", "`reward=sparse` is taken by no step"),
        ("experiment=demo name=x", "`name` is not read by stage=pipeline"),
        ("experiment=demo stage.steps=[]", "`stage.steps=[]` does nothing"),
        ("experiment=demo stage.steps=[['stage=rx']]", "entry 1 needs stage="),
        ("experiment=demo stage.steps=[['stage=sft','reward=strict']]", "`reward` is not read by stage=sft"),
        ("experiment=demo stage.steps=[['stage=rl'],['stage=rl','trainer.steps=3']]", "two steps that write"),
        ("stage=rollout task=gsm8k task.path=no.jsonl teacher=annotated", "no.jsonl"),  # found by the child
    ],
)
def test_bad_input_is_one_line_with_exit_code_2_and_writes_nothing(
    work: Path, capfd: pytest.CaptureFixture[str], command: str, message: str
):
    assert main(command.split()) == 2
    said = capfd.readouterr().err.splitlines()
    assert message in said[-1]
    assert len(said) == 1
    assert sorted(path.name for path in work.iterdir()) == ["rows.jsonl"]


def test_user_presets_come_from_a_folder_of_their_own(work: Path, capfd: pytest.CaptureFixture[str]):
    preset = work / "mine" / "reward" / "loose.yaml"
    preset.parent.mkdir(parents=True)
    preset.write_text("defaults: [schema, _self_]\nname: loose\nmatcher: overlap\nweights: {correct: 0.5, tool: 0.5}\n")
    assert main(["stage=rl", "reward=loose", "--config-dir", "mine", "--cfg", "job", "--package", "reward"]) == 0
    assert "matcher: overlap" in capfd.readouterr().out


def test_rollout_is_done_once_and_refuses_another_config(work: Path, capfd: pytest.CaptureFixture[str]):
    command = ["stage=rollout", "task.size=6", "logger=quiet"]
    assert main(command) == 0
    folder = work / "outputs" / "default" / "rollout"
    summary = json.loads((folder / "summary.json").read_text())
    assert (summary["status"], summary["stage"], summary["seed"]) == ("done", "rollout", 0)
    stored = (folder / "trajectories.jsonl").read_bytes()
    capfd.readouterr()

    assert main(command) == 0
    assert "is done in" in capfd.readouterr().err
    assert main(["stage=rollout", "task.size=7", "task.seed=4", "logger=quiet"]) == 2
    said = capfd.readouterr().err
    assert "task.seed: 0 -> 4; task.size: 6 -> 7" in said and "overwrite=true" in said
    assert (folder / "trajectories.jsonl").read_bytes() == stored
    assert json.loads((folder / "summary.json").read_text()) == summary

    assert main(["stage=rollout", "task.size=7", "logger=quiet", "overwrite=true"]) == 0
    assert json.loads((folder / "summary.json").read_text())["config_hash"] != summary["config_hash"]


@pytest.mark.parametrize("jobs", [1, 2])
def test_multirun_gives_each_point_a_folder_and_goes_on_after_a_failure(
    work: Path, jobs: int, capfd: pytest.CaptureFixture[str]
):
    command = ["-m", "stage=rollout", "task.size=3,0", "seed=0,1", "logger=quiet", f"launcher.jobs={jobs}"]
    assert main(command) == 2
    said = capfd.readouterr().err
    assert "2 of 4 points failed: seed=0,task.size=0, seed=1,task.size=0" in said
    (sweep,) = (work / "outputs" / "default" / "sweeps").iterdir()
    states = list(read_manifest(sweep).values())
    assert {(state.point, state.status) for state in states} == {
        ("seed=0,task.size=3", "done"), ("seed=1,task.size=3", "done"),
        ("seed=0,task.size=0", "failed"), ("seed=1,task.size=0", "failed"),
    }  # fmt: skip
    done = {state.point: state for state in states if state.status == "done"}
    assert done["seed=0,task.size=3"].headline == {"name": "rollout/verified_share", "value": 1.0}
    assert done["seed=0,task.size=3"].overrides == {"seed": 0, "task.size": 3}
    assert all("`task.size=0` is out of range" in state.error for state in states if state.status == "failed")
    tools = "12 tools of calculator"  # what a rollout says first: here, or in the logs of points that run together
    assert (tools in said) == (jobs == 1)
    assert all((sweep / name / "output.log").is_file() == (jobs == 2) for name in done)
    for point in ("seed=0,task.size=3", "seed=1,task.size=3"):
        assert json.loads((sweep / point / "rollout" / "summary.json").read_text())["status"] == "done"
    assert sorted(path.name for path in work.iterdir()) == ["outputs", "rows.jsonl"]


def test_renamed_key_in_a_preset_of_the_user_names_the_new_one(
    work: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
):
    monkeypatch.setitem(RENAMED_KEYS, "reward.comparer", "reward.matcher")
    preset = work / "mine" / "reward" / "loose.yaml"
    preset.parent.mkdir(parents=True)
    preset.write_text("defaults: [schema, _self_]\nname: loose\ncomparer: overlap\n")
    assert main(["stage=rl", "reward=loose", "--config-dir", "mine"]) == 2
    assert "`reward.comparer` has been renamed: use `reward.matcher`" in capfd.readouterr().err
