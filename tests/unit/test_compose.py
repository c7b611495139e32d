"""Every preset and experiment composes with every stage; pipelines pass overrides to the steps that read them."""

from dataclasses import replace
from pathlib import Path

import pytest
from hydra import compose

from mentor.compose import compose_stage, compose_steps, explain, given_stage, parse, to_config
from mentor.conf_dir import conf_dir
from mentor.config import EVALUATING, STAGE_GROUPS, STAGES, TRAINERS
from mentor.errors import ConfigError
from mentor.readers import refuse_unread

# What a stage cannot do without.
NEEDED = {
    "score": ["stage.input=rows.jsonl", "stage.output=scores.jsonl"],
    "pretrain": ["model=tiny"],  # also where an experiment names another
}


@pytest.mark.parametrize("stage", STAGES)
@pytest.mark.parametrize(
    "overlay",
    ["", "debug=default", *(f"experiment={path.stem}" for path in (conf_dir() / "experiment").glob("*.yaml"))],
)
def test_every_experiment_composes_with_every_stage(hydra_conf: None, work: Path, stage: str, overlay: str):
    overrides = [f"stage={stage}", *NEEDED.get(stage, []), *([overlay] if overlay else [])]
    if overlay == "experiment=demo" and stage == "pretrain":  # whose base is there
        with pytest.raises(ConfigError, match="not for stage=pretrain, which starts from nothing"):
            to_config(compose("config", overrides=overrides))
        return
    config = to_config(compose("config", overrides=overrides))
    assert config.stage.name == stage
    assert type(config.trainer) is TRAINERS.get(stage, type(None)) or stage == "pipeline"
    if stage == "pipeline" and overlay.endswith("gb"):  # presets for a model that exists
        with pytest.raises(ConfigError, match="not for stage=pretrain, which starts from nothing"):
            compose_steps(config.stage, parse(overrides))
    elif stage == "pipeline":
        steps = compose_steps(config.stage, parse(overrides))
        first = [] if overlay == "experiment=demo" else ["pretrain"]
        assert [step.stage.name for step in steps][: len(first) + 2] == [*first, "rollout", "sft"]


PRESETS = sorted(
    (folder.name, path.stem)
    for folder in conf_dir().iterdir()
    if folder.is_dir()
    for path in folder.glob("*.yaml")
    if folder.name not in ("stage", "experiment", "debug")
)


@pytest.mark.parametrize(("group", "preset"), PRESETS)
def test_every_preset_composes(hydra_conf: None, work: Path, group: str, preset: str):
    readers = [stage for stage, groups in STAGE_GROUPS.items() if group in set(groups) - set(EVALUATING.get(stage, ()))]
    stage = preset if group == "trainer" else readers[0] if readers else "report"
    if preset == "traces":
        overrides = ["teacher=traces", "task.path=rows.jsonl"]
    elif (group == "task" and preset != "calculator") or (group, preset) == ("teacher", "annotated"):
        task = preset if group == "task" else "gsm8k"
        overrides = [f"task={task}", "task.path=rows.jsonl", "teacher=annotated"]
    elif (group, preset) == ("teacher", "openai"):
        overrides = ["teacher=openai", "teacher.base_url=http://localhost:8000/v1", "teacher.model=some"]
    elif (group, preset) == ("teacher", "model"):
        overrides = ["teacher=model", "teacher.path=some"]
    elif group == "tools" and preset in ("file", "search"):
        overrides = [f"tools={preset}", "tools.path=rows.jsonl"]
    elif (group, preset) == ("tools", "mcp"):
        overrides = ["tools=mcp", "tools.server=server"]
    elif group == "model" and not preset.startswith("tiny"):
        stage, overrides = "sft", [f"model={preset}"]
    else:
        overrides = [f"{group}={preset}"]
        overrides += (
            [f"benchmark.{preset}.task.path=rows.jsonl"] if group == "benchmark" and preset != "calculator" else []
        )
    config = to_config(compose("config", overrides=[f"stage={stage}", *overrides]))
    section = getattr(config, group)
    name = getattr(section, "name", None)
    assert name in (None, preset), "a preset's name is its file's name: folders are named from it"
    if group == "benchmark":
        assert list(section) == [preset]


def test_pipeline_hands_an_override_to_the_steps_that_read_it(hydra_conf: None, work: Path):
    overrides = ["stage=pipeline", "trainer.group_size=4", "task.size=50", "seed=3", "init=sft", "logger=quiet"]
    pipeline = to_config(compose("config", overrides=overrides))
    steps = compose_steps(pipeline.stage, parse(overrides))
    by_folder = {f"{step.stage.name} {step.reward.name if step.reward else ''}".strip(): step for step in steps}
    assert by_folder["rl sparse"].trainer.group_size == by_folder["rl flexible"].trainer.group_size == 4
    assert by_folder["rollout"].task.size == 50
    assert by_folder["rl sparse"].init == "sft" and by_folder["sft"].init == "base"
    seeds = [step.seed for step in steps if step.stage.name in ("pretrain", "sft", "rl")]
    assert seeds == [3] * 5 and by_folder["rollout"].seed == 0  # one teacher set for every seed
    assert all(list(step.logger.backends) == [] for step in steps)
    with pytest.raises(ConfigError, match="taken by no step"):
        compose_steps(pipeline.stage, parse(["trainer=rl"]))


@pytest.mark.parametrize(
    ("experiment", "rewards", "steps", "limit"),
    [
        ("rare_success", ["sparse", "strict", "flexible_f1", "results"], 60, None),
        ("demo_full", ["sparse", "results"], 18, 100),
    ],
)
def test_rewards_on_rare_success_differ_in_nothing_but_the_reward(
    hydra_conf: None, work: Path, experiment: str, rewards: list[str], steps: int, limit: int | None
):
    command = parse([f"experiment={experiment}"])
    pipeline = to_config(compose("config", overrides=[f"experiment={experiment}"]))
    composed = compose_steps(pipeline.stage, command)
    rl = {step.reward.name: step for step in composed if step.stage.name == "rl"}
    assert list(rl) == rewards
    first = rl["sparse"].trainer
    assert all((step.trainer, step.sampler, step.seed) == (first, rl["sparse"].sampler, 0) for step in rl.values())
    assert (first.steps, first.prompts_per_step, first.group_size) == (steps, 16, 8)
    assert (first.learning_rate, first.schedule) == (4e-4, "constant")
    by_stage = {step.stage.name: step for step in composed}
    assert (by_stage["rollout"].task.split, by_stage["rollout"].task.size) == ("train_long", 600)
    assert by_stage["eval"].stage.greedy is (limit is None) and by_stage["eval"].stage.samples == 1
    assert by_stage["eval"].stage.limit == limit and by_stage["eval"].benchmark["calculator"].task.size == 200
    lower = compose_steps(pipeline.stage, [*command, *parse(["trainer.steps=3"])])
    trained = [step.trainer.steps for step in lower if step.trainer is not None]
    assert trained == [340, 150, *[3] * len(rewards)]  # the base and SFT keep their own


@pytest.mark.parametrize("base", ["tiny_capable", "tiny_shy", "tiny_unskilled"])
def test_a_preset_of_a_base_sets_how_it_is_pretrained_and_nothing_of_other_stages(
    hydra_conf: None, work: Path, base: str
):
    plain, made = (to_config(compose("config", overrides=["stage=pretrain", f"model={it}"])) for it in ("tiny", base))
    assert made.stage.direct_share == 0 != plain.stage.direct_share and made.trainer.schedule == "linear"
    assert replace(made.model, name="tiny") == plain.model
    assert (made.stage.shyness > 0, made.stage.skill < 1) == (base == "tiny_shy", base != "tiny_shy")
    rl, plain_rl = (to_config(compose("config", overrides=["stage=rl", f"model={it}"])) for it in (base, "tiny"))
    assert replace(rl.model, name="tiny") == plain_rl.model and replace(rl, model=plain_rl.model) == plain_rl


def test_an_experiment_takes_another_base_and_keeps_its_steps(hydra_conf: None, work: Path):
    overrides = ["experiment=rare_success", "model=tiny_shy", "stage.shyness=0.6"]
    pretrain = to_config(compose("config", overrides=["stage=pretrain", *overrides]))
    assert (pretrain.stage.shyness, pretrain.model.name) == (0.6, "tiny_shy")
    command = overrides[:2]
    steps = compose_steps(to_config(compose("config", overrides=command)).stage, parse(command))
    assert steps[0].stage.shyness > 0 and steps[0].trainer.steps == 340
    assert {step.model.name for step in steps if step.model is not None} == {"tiny_shy"}


def test_two_benchmarks_of_one_kind_have_names_and_folders_of_their_own(hydra_conf: None, work: Path):
    own = ["+benchmark@benchmark.second=jsonl", "benchmark.second.task.path=b.jsonl", "benchmark.second.grader=qa"]
    overrides = ["stage=eval", "benchmark=jsonl", "benchmark.jsonl.task.path=a.jsonl", *own]
    refuse_unread(parse(overrides), "eval")
    found = to_config(compose("config", overrides=overrides)).benchmark
    assert {name: (entry.task.path, entry.grader) for name, entry in found.items()} == {
        "jsonl": ("a.jsonl", "answer"),
        "second": ("b.jsonl", "qa"),
    }


def test_a_stage_is_known_where_one_is_given():
    assert given_stage(parse(["seed=1", "stage=rl"])) == "rl"
    assert given_stage(parse(["seed=1"])) is None and given_stage(parse(["stage=rl,sft"])) is None


@pytest.mark.parametrize(
    ("wrong", "meant"),
    [
        ("trainer.lr", "trainer.learning_rate"),
        ("trainer.beta", "trainer.kl_coef"),
        ("trainer.num_generations", "trainer.group_size"),
        ("trainer.batch_size", "trainer.prompts_per_step"),
        ("sampler.gpu_memory_utilization", "sampler.gpu_memory_share"),
        ("sampler.max_new_tokens", "sampler.max_turn_tokens"),
        ("trainer.group_szie", "trainer.group_size"),
    ],
)
def test_a_key_of_another_trainer_suggests_the_one_here(hydra_conf: None, wrong: str, meant: str):
    with pytest.raises(Exception) as raised:
        compose("config", overrides=["stage=rl", f"{wrong}=1"])
    assert explain(raised.value) == f"`{wrong}` is not a key; did you mean `{meant}`?"


def test_a_composed_pipeline_has_its_steps_and_one_verdict_for_each_key(hydra_conf: None, work: Path):
    overrides = ["stage=pipeline", "task.size=50", "trainer.lora.alpha=8"]
    composed = compose_stage(compose("config", overrides=overrides), parse(overrides))
    assert composed.steps is not None and len(composed.steps) == 8
    assert composed.verdicts == {
        "stage": None,
        "task.size": None,
        "trainer.lora.alpha": "`trainer.lora.alpha` is read with trainer.lora.rank above 0 only",
    } or composed.verdicts == {
        "task.size": None,
        "trainer.lora.alpha": "`trainer.lora.alpha` is read with trainer.lora.rank above 0 only",
    }
