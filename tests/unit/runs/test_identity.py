"""What counts as the same configuration, and how two are told apart."""

from dataclasses import replace
from pathlib import Path

from mentor.config import (
    BenchmarkConfig,
    Config,
    EvalStage,
    ModelConfig,
    ModelTeacher,
    PerturbConfig,
    PretrainStage,
    RolloutStage,
    SamplerConfig,
    SftStage,
    TaskConfig,
    dump,
)
from mentor.runs.identity import config_hash, content_hashes, differences, flatten, identity
from tests.fixtures.configs import rl_config


def config(size: int = 5, **top: object) -> dict[str, object]:
    return dump(Config(stage=RolloutStage("rollout"), task=TaskConfig("calculator", size=size), **top))


def test_identity_leaves_out_what_decides_no_result():
    same = [config(), config(run="x", overwrite=True, init="sft"), {**config(), "logger": {"wandb": "online"}}]
    assert len({config_hash(identity(values)) for values in same}) == 1
    other = [config(seed=1), config(size=6), {**config(), "upstream": {"base": "1234"}}]
    assert len({config_hash(identity(values)) for values in [*same, *other]}) == 4
    sft = [dump(Config(stage=SftStage("sft"), init=init)) for init in ("base", "some/model")]
    assert config_hash(identity(sft[0])) != config_hash(identity(sft[1]))


def test_keys_that_came_later_change_nothing_at_the_value_that_was_theirs_before():
    config = dump(Config(stage=SftStage(name="sft"), model=ModelConfig(name="mine")))
    before = {**config, "model": {key: value for key, value in config["model"].items() if key != "think_history"}}
    strip = {**config, "model": {**config["model"], "think_history": "strip"}}
    assert identity(config) == identity(before) != identity(strip)
    for key in ("call_syntax", "template_name", "end_of_turn", "uncertified"):
        del before["model"][key]
    assert identity(config) == identity(before)


def test_the_limits_of_a_teachers_sampler_that_came_later_change_nothing_either():
    def of(thinking):
        teacher = ModelTeacher("model", path="m", sampler=SamplerConfig("transformers", max_thinking_tokens=thinking))
        return dump(Config(stage=RolloutStage("rollout"), teacher=teacher))

    before, bounded = of(None), of(8)
    del before["teacher"]["sampler"]["max_thinking_tokens"], before["teacher"]["sampler"]["top_k"]
    assert identity(before) == identity(of(None)) != identity(bounded)
    assert before["teacher"]["sampler"] and "max_thinking_tokens" in bounded["teacher"]["sampler"]


def test_the_answer_format_counts_where_it_is_not_the_default():
    def of(stage, answer_format):
        return identity(dump(Config(stage=stage, task=TaskConfig("calculator", answer_format=answer_format))))

    assert "task" not in of(PretrainStage("pretrain"), "boxed")  # it reads nothing else of the group
    assert of(PretrainStage("pretrain"), "tag")["task"] == {"answer_format": "tag"}
    assert of(RolloutStage("rollout"), "tag") != of(RolloutStage("rollout"), "boxed") == identity(config(size=600))
    bench = {"mine": BenchmarkConfig(TaskConfig("jsonl"))}
    kept = identity(dump(Config(stage=EvalStage("eval"), benchmark=bench)))["benchmark"]["mine"]
    assert "answer_format" not in kept["task"]


def test_a_licence_decides_no_result():
    stored = {"stage": {"name": "rollout"}, "task": {"name": "gsm8k", "license": None}, "seed": 0}
    given = {**stored, "task": {"name": "gsm8k", "license": "mit"}}
    before = {**stored, "task": {"name": "gsm8k"}}
    assert identity(stored) == identity(given) == identity(before)
    evaluated = {"stage": {"name": "eval"}, "benchmark": {"a": {"task": {"name": "gsm8k", "license": None}}}}
    assert identity(evaluated)["benchmark"] == {"a": {"task": {"name": "gsm8k"}}}


def test_differences_show_absent_keys():
    assert differences({"a": {"b": 1}, "c": 2}, {"a": {"b": 1, "d": None}}) == [
        "a.d: (absent) -> None",
        "c: 2 -> (absent)",
    ]


def test_where_work_is_spread_decides_no_result():
    trainer = {"learning_rate": 1e-3, "num_processes": 2, "gradient_checkpointing": True}
    values = {"stage": {"name": "sft"}, "trainer": trainer, "seed": 0}
    assert identity(values)["trainer"] == {"learning_rate": 1e-3}
    rollout = {"stage": {"name": "rollout"}, "tools": {"name": "python", "workers": 2}, "seed": 0}
    assert identity(rollout)["tools"] == {"name": "python"}
    rl = {"stage": {"name": "rl"}, "model": {"dtype": "bfloat16", "attn_implementation": "eager"}, "seed": 0}
    assert identity(rl)["model"] == {"dtype": "bfloat16"}


def test_nested_values_are_flattened_by_dotted_key():
    assert flatten({"a": {"b": 1, "c": {}}, "d": [1, {"e": 2}]}) == {"a.b": 1, "a.c": {}, "d": [1, {"e": 2}]}


def test_files_are_told_apart_by_content_and_names_are_left_out(tmp_path: Path):
    for name, text in (("one", "x"), ("two", "x"), ("three", "y")):
        (tmp_path / name).write_text(text)
    found = content_hashes(
        a=str(tmp_path / "one"), b=str(tmp_path / "two"), c=str(tmp_path / "three"), d="Qwen/Qwen3-0.6B", e=None
    )
    assert found.keys() == {"a", "b", "c"} and found["a"] == found["b"] != found["c"] and len(found["a"]) == 16


def test_a_folder_is_told_apart_by_the_names_and_contents_of_its_files(tmp_path: Path):
    def found() -> str:
        return content_hashes(a=str(tmp_path / "set"))["a"]

    (tmp_path / "set" / "data").mkdir(parents=True)
    (tmp_path / "set" / "data" / "part.jsonl").write_text("x")
    first = found()
    (tmp_path / "set" / "README.md").write_text("y")
    second = found()
    (tmp_path / "set" / "README.md").rename(tmp_path / "set" / "OTHER.md")
    assert len({first, second, found()}) == 3


def test_tasks_of_an_earlier_version_with_its_default_keys_are_the_same():
    old = {"question_key": "question", "answer_key": "answer", "reference_key": "reference", "id_key": "id"}
    config = dump(Config(stage=RolloutStage(name="rollout"), task=TaskConfig(name="jsonl", path="rows.jsonl")))
    added = ("columns", "bad_rows", "subset")
    before = {**config, "task": {**{k: v for k, v in config["task"].items() if k not in added}, **old}}
    other = {**before, "task": {**before["task"], "answer_key": "gold"}}
    assert identity(config) == identity(before) != identity(other)
    benchmark = {"stage": {"name": "eval"}, "benchmark": {"mine": {"task": config["task"]}}}
    assert identity(benchmark) == identity({**benchmark, "benchmark": {"mine": {"task": before["task"]}}})


def test_distillation_counts_once_a_teacher_is_asked_and_where_it_is_served_never():
    plain = {"stage": {"name": "rl"}, "seed": 0, "init": "base"}
    teacher = {"path": None, "model": "big", "base_url": "http://a/v1", "offload": False, "concurrency": 4}
    off, on = ({"coef": coef, "top_k": 20, "teacher": teacher} for coef in (0.0, 1.0))
    assert identity({**plain, "distill": off}) == identity(plain) != identity({**plain, "distill": on})
    moved = {**on, "teacher": {**teacher, "base_url": "http://b/v1", "concurrency": 64}}
    assert identity({**plain, "distill": moved}) == identity({**plain, "distill": on})
    assert identity({**plain, "distill": {**on, "top_k": 5}}) != identity({**plain, "distill": on})


def test_a_perturbation_counts_in_rl_and_a_run_without_one_has_the_identity_it_had():
    plain = rl_config()
    perturbed = replace(plain, task=TaskConfig(perturb=PerturbConfig(distractors=2)))
    assert "task" not in identity(dump(plain)) and identity(dump(perturbed))["task"]["perturb"]["distractors"] == 2
