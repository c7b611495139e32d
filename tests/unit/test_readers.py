"""Which keys of a command are read: every key of the table is a key, and commands with a key that nothing reads."""

from pathlib import Path

import pytest
from hydra import compose

from mentor.cli import main
from mentor.compose import compose_stage, parse
from mentor.config import SECTIONS, STAGES, TEACHERS, TRAINERS, BenchmarkConfig, Config, schema_keys
from mentor.errors import ConfigError
from mentor.readers import READ_WHEN, condition_of, judge_keys, merge, refuse

TO_MODEL = "stage=chat stage.model=teacher teacher=model teacher.path=x"
TO_ENDPOINT = "stage=chat stage.model=teacher teacher=openai teacher.base_url=http://a/v1 teacher.model=m"


def verdicts(command: str) -> dict[str, str | None]:
    words = command.split()
    overrides = [word for word in words if word != "-m"]
    composed = compose_stage(compose("config", overrides=overrides), parse(overrides), sweep="-m" in words)
    return dict(composed.verdicts)


def test_every_key_of_the_table_is_a_key():
    kinds = {name: [schema] for name, schema in SECTIONS.items()} | {"": [Config], "benchmark.*": [BenchmarkConfig]}
    kinds |= {"stage": [*STAGES.values()], "trainer": [*TRAINERS.values()], "teacher": [*TEACHERS.values()]}
    keys = {f"{group}.{key}".lstrip(".") for group, schemas in kinds.items() for s in schemas for key in schema_keys(s)}
    for section, table in READ_WHEN.items():
        for key, condition in table.items():
            full = f"{section}.{key}".lstrip(".")
            assert any(known == full or known.startswith(f"{full}.") for known in keys), full
            for name in condition.keys:
                looked_at = section + name if name.startswith(".") else name
                inside_map = looked_at.startswith("reward.terms.") or looked_at in (
                    "reward",
                    "benchmark",
                )  # whole sections
                assert looked_at in keys or inside_map or looked_at == "-m", (full, looked_at)


def test_condition_of_a_nested_key_and_of_a_benchmark_by_name():
    assert condition_of("trainer.learning_rate") is None
    section, condition = condition_of("benchmark.mine.task.size")
    assert (section, condition.words.format(section)) == ("benchmark.mine.task", "benchmark.mine.task=calculator")
    section, condition = condition_of("launcher.slurm.options.qos")
    assert (section, condition.words.format(section)) == ("launcher", "-m and launcher=slurm")


@pytest.mark.parametrize(
    ("command", "message"),
    [
        ("stage=rl sampler.kv_cache_gib=2", "`sampler.kv_cache_gib` is read with sampler=vllm only"),
        ("stage=rl sampler=vllm sampler.tensor_parallel=1", "sampler=vllm and sampler.placement=separate only"),
        ("stage=rl sampler=vllm sampler.engines=2", "`sampler.engines` is read with sampler.placement=separate only"),
        (
            "stage=rl sampler.placement=separate sampler.tensor_parallel=2",
            "sampler=vllm and sampler.placement=separate only",
        ),
        (
            "stage=rl sampler=vllm sampler.placement=separate sampler.gpu_memory_share=0.4",
            "`sampler.gpu_memory_share` is read with sampler=vllm and sampler.placement=colocated only",
        ),
        (
            "stage=rl reward=sparse reward.anneal=group",
            "`reward.anneal` is read with stage=rl or check and reward.family=project and a weight above 0 of a term",
        ),
        ("stage=rl reward.anneal_until=0.5", "of the calls and reward.anneal=group or run only"),
        ("stage=rl reward.anneal=group reward.anneal_steps=5", "of the calls and reward.anneal=run only"),
        (
            "stage=score stage.input=rows.jsonl stage.output=scores.jsonl reward.anneal=group",
            "`reward.anneal` is read with stage=rl or check",
        ),
        ("stage=eval model.license=mit", "`model.license` is read with stage=pretrain, sft, rl or check only"),
        (
            "stage=eval stage.samples=0 sampler.temperature=0.7",
            "trainer.eval_samples above 0, or stage=chat and stage.greedy=false only",
        ),
        ("stage=rollout task=jsonl task.path=rows.jsonl teacher=annotated task.size=3", "with task=calculator only"),
        (
            "stage=rollout task.columns.answer=gold",
            "`task.columns.answer` is read with task=gsm8k, math, multihop_qa, rl_rows, jsonl, calls or traces",
        ),
        ("stage=rollout task.path=rows.jsonl", "`task.path` is read with task=gsm8k, math"),
        ("stage=rollout task.placeholders=['a=b']", "task=rl_rows only"),
        (
            "stage=eval benchmark.calculator.task.columns.id=x",
            "with benchmark.calculator.task=gsm8k, math, multihop_qa, rl_rows, jsonl, calls or traces",
        ),
        (
            "stage=rollout task=gsm8k task.path=rows.jsonl teacher=annotated teacher.alternative_share=0.1",
            "teacher=oracle only",
        ),
        ("stage=rollout teacher=model teacher.path=x teacher.choose=first", "teacher.samples above 1 only"),
        (
            "stage=rollout teacher=model teacher.path=x teacher.sampler.kv_cache_gib=2",
            "`teacher.sampler.kv_cache_gib` is read with teacher.sampler=vllm only",
        ),
        (
            "stage=rollout teacher=model teacher.path=x stage.concurrency=2",
            "teacher=oracle, annotated or openai, or teacher.reexecute=true only",
        ),
        ("stage=rl task.perturb.seed=1", "`task.perturb.seed` is read with another key of task.perturb only"),
        (
            "stage=eval benchmark.calculator.task.perturb.seed=1",
            "`benchmark.calculator.task.perturb.seed` is read with another key of benchmark.calculator.task.",
        ),
        ("stage=rl tools.top_k=4", "`tools.top_k` is read with tools=search only"),
        ("stage=rl tools.path=rows.jsonl", "`tools.path` is read with tools=file or search only"),
        ("stage=rl tools=search tools.path=rows.jsonl tools.memory_mib=80", "tools=calculator, python, file or row"),
        ("stage=rl tools=file tools.path=rows.jsonl tools.trusted=true tools.isolation_floor=rlimits", "tools.trusted"),
        ("stage=sft model.hidden_size=64", "`model.hidden_size` is read with stage=pretrain or check only"),
        ("stage=rl model.path=x model.max_position_embeddings=64", "model.path=null only"),
        ("stage=pretrain model.uncertified=true", "`model.uncertified` is read with stage="),
        ("stage=rl reward=sparse reward.wrong_scale=0.1", "reward.terms.match.weight above 0"),
        ("stage=rl reward=sparse reward.gate=group", "reward.terms.valid.weight above 0"),
        ("stage=rl reward.gate=outcome reward.wrong_scale=0.1", "reward.terms.match.gate=none or group only"),
        ("stage=rl reward=released_f1 reward.weights.tool=0", "reward.family=project only"),
        ("stage=rl trainer.kl_estimator=k1", "`trainer.kl_estimator` is read with trainer.kl_coef above 0 only"),
        ("stage=rl distill.teacher.path=big", "`distill.teacher.path` is read with distill.coef above 0 only"),
        ("stage=rl trainer.lora.alpha=8", "trainer.lora.rank above 0 only"),
        ("stage=rl trainer.lora.quantize=nf4", "trainer.lora.rank above 0 only"),
        ("stage=rl trainer.lora={rank:0,alpha:8}", "`trainer.lora.alpha` is read with trainer.lora.rank above 0 only"),
        ("stage=sft trainer.deepspeed.bucket_elements=5", "trainer.deepspeed.stage above 0 only"),
        ("stage=rl trainer.overlong_penalty=2", "trainer.overlong_buffer_tokens above 0 only"),
        ("stage=rl benchmark=[calculator]", "`benchmark` is read with trainer.eval_every only"),
        ("stage=sft sampler.kv_cache_gib=2", "is read with trainer.eval_every and sampler=vllm only"),
        ("stage=chat teacher=openai", "`teacher` is read with stage.model=teacher only"),
        (f"{TO_MODEL} model.dtype=bfloat16", "`model.dtype` is read with another stage.model than teacher only"),
        (f"{TO_MODEL} teacher.sampler.temperature=0.5", "stage=chat and stage.greedy=false only"),
        (f"{TO_MODEL} teacher.samples=2", "`teacher.samples` is read with stage=rollout or check only"),
        (f"{TO_ENDPOINT} stage.greedy=false", "`stage.greedy` is read with a model in this process only"),
        ("stage=sft sampler.max_turns=3", "`sampler.max_turns` is read with trainer.eval_every only"),
        (
            "stage=sft trainer.eval_every=2 sampler.kv_cache_gib=2",
            "`sampler.kv_cache_gib` is read with sampler=vllm only",
        ),
        ("stage=sft trainer.eval_limit=3", "trainer.eval_every only"),
        ("stage=rl trainer.best_mode=min", "trainer.keep=best, or trainer.patience only"),
        ("stage=rl trainer.decay_share=0.2", "trainer.schedule=wsd only"),
        ("stage=score stage.input=rows.jsonl stage.output=o stage.same_cosine=0.9", "with stage.grid only"),
        ("stage=score stage.input=rows.jsonl stage.output=o run=x", "`run` is read with stage="),
        ("stage=score stage.input=rows.jsonl stage.output=o task.path=x", "of task it reads task.answer_format"),
        ("stage=pretrain task=jsonl", "`task` is not read by stage=pretrain; of task it reads task.answer_format"),
        ("stage=pretrain stage.shyness_steps=9", "`stage.shyness_steps` is read with stage.shyness above 0 only"),
        ("stage=report seed=1", "`seed` is read with stage="),
        ("stage=report overwrite=true", "`overwrite` is read with stage="),
        (
            "stage=rl logger.backends=[tensorboard] logger.project=x",
            "wandb or trackio or mlflow in logger.backends only",
        ),
        ("stage=rl launcher.jobs=2", "`launcher.jobs` is read with -m only"),
        ("stage=rl launcher=slurm", "`launcher` is read with -m only"),
        ("-m stage=rl launcher.slurm.cpus=2", "-m and launcher=slurm only"),
        ("stage=rl launcher.stall_timeout_s=9", "trainer.num_processes above 1"),
        ("stage=rl launcher.node_rank=1", "trainer.nodes above 1"),
        ("-m stage=rl trainer.nodes=2 trainer/deepspeed=zero2 launcher.master_addr=a", "no -m only"),
        ("-m stage=rl launcher=slurm launcher.slurm.nodes=2", "trainer.nodes above 1"),
        ("stage=rl launcher.device_memory_gib=24", "stage=check only"),
        ("stage=pipeline sampler.kv_cache_gib=2", "sampler=vllm only"),
        ("stage=pipeline stage.steps=[['stage=rl','sampler.kv_cache_gib=2']]", "sampler=vllm only"),
    ],
)
def test_a_key_that_nothing_reads_is_refused_in_one_line(hydra_conf: None, work: Path, command: str, message: str):
    with pytest.raises(ConfigError) as raised:
        refuse(verdicts(command))
    assert message in str(raised.value) and "\n" not in str(raised.value)


@pytest.mark.parametrize(
    "command",
    [
        "stage=rl sampler=vllm sampler.kv_cache_gib=2 sampler.gpu_memory_share=0.4",
        "stage=score stage.input=rows.jsonl stage.output=scores-${seed}.jsonl seed=1",
        "stage=rl trainer.kl_coef=0.1 trainer.kl_estimator=k1 trainer.lora.rank=4 trainer.lora.alpha=8",
        "stage=rl trainer/deepspeed=zero2 trainer.deepspeed.bucket_elements=5 trainer.num_processes=2",
        "stage=sft trainer/deepspeed=zero2 trainer.nodes=2 launcher.node_rank=1 launcher.master_addr=a",
        "stage=rl reward.gate=group reward.wrong_scale=0.1 model.max_position_embeddings=4096 sampler.max_tokens=4000",
        "stage=rollout teacher=model teacher.path=x teacher.samples=2 teacher.choose=first teacher.sampler.top_p=0.9",
        "stage=eval benchmark.calculator.task.size=3 sampler.temperature=0.7 seed=1",
        "-m stage=rl launcher=slurm launcher.slurm.cpus=2 launcher.jobs=2",
        "stage=rl launcher=local tools=file tools.path=rows.jsonl tools.isolation_floor=rlimits",
        "stage=check launcher.device_memory_gib=24 sampler.temperature=0.9",
        "stage=score stage.input=rows.jsonl stage.output=o task.answer_format=hashes",
        "stage=pretrain task.answer_format=tag",
        f"{TO_MODEL} stage.greedy=false teacher.sampler.temperature=0.5 teacher.enable_thinking=true",
        f"{TO_ENDPOINT} teacher.max_cost=1 teacher.input_price=2 tools.timeout_s=3",
        "stage=eval benchmark.calculator.task.answer_format=tag",
        "stage=pipeline task.answer_format=json",
        "stage=pipeline model.hidden_size=64 task.size=9 seed=1 overwrite=true reward.wrong_scale=0.1",
    ],
)
def test_a_key_that_something_reads_passes(hydra_conf: None, work: Path, command: str):
    found = verdicts(command)
    assert found and set(found.values()) == {None}


def test_a_key_counts_as_read_where_any_step_or_point_reads_it():
    unread, read = {"a": "`a` is read with x only", "b": None}, {"a": None}
    assert merge([unread, read]) == merge([read, unread]) == {"a": None, "b": None}
    with pytest.raises(ConfigError, match="`a` is read with x only"):
        refuse(merge([unread, unread]))
    refuse(merge([]))


def test_what_depends_on_a_choice_that_is_yet_to_come_counts_as_read(hydra_conf: None, work: Path):
    overrides = ["stage=rl", "sampler.kv_cache_gib=2", "trainer.lora.alpha=8"]
    config = compose_stage(compose("config", overrides=overrides), parse(overrides)).config
    found = judge_keys(parse(overrides), config, sweep=True, varied=frozenset({"sampler"}))
    assert found["sampler.kv_cache_gib"] is None and found["trainer.lora.alpha"] is not None


def test_a_sweep_is_refused_before_any_point_starts_unless_a_point_reads_the_key(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
):
    monkeypatch.chdir(tmp_path)
    assert main(["-m", "stage=rl", "seed=0,1", "sampler.kv_cache_gib=1,2"]) == 2
    said = capfd.readouterr().err
    assert said == "mentor: `sampler.kv_cache_gib` is read with sampler=vllm only\n" and not list(tmp_path.iterdir())
    assert main(["-m", "stage=rollout", "teacher.alternative_share=0,0.5", "task.columns.answer=x"]) == 2
    assert (
        "`task.columns.answer` is read with task=gsm8k, math, multihop_qa, rl_rows, jsonl, calls or traces, or stage="
        in capfd.readouterr().err
    )
    split = ["task=calculator,jsonl", "task.path=rows.jsonl", "task.size=3", "teacher=oracle,annotated"]
    assert main(["-m", "stage=rollout", *split, "logger=quiet"]) == 2  # half of the points cannot be, two are tried
    assert "is read with" not in capfd.readouterr().err
