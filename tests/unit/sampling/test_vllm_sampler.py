"""What the vLLM sampler adds to the interface (test_sampler.py): its prefix cache and its failures."""

import copy
import importlib
import json
import subprocess
import sys

import pytest
import torch

from mentor.conf_dir import conf_dir
from mentor.config import ModelConfig, SamplerConfig
from mentor.environment import Environment, RolloutLimits, RolloutRequest
from mentor.errors import SamplerError
from mentor.sampling import SamplingParams, build_sampler
from mentor.stages.student import student_environment
from mentor.tools import Toolbox, Toolset
from mentor.types import Task
from tests.fixtures.policies import make_policy
from tests.fixtures.samplers import Pair, adapted, drain, needs_vllm, prompts, recomputed, save_student

pytestmark = needs_vllm

GREEDY = SamplingParams(max_tokens=12, temperature=0.0)


@pytest.fixture(scope="module")
def opened(chat, tmp_path_factory):
    folder = tmp_path_factory.mktemp("student")
    model = save_student(chat, folder)
    sampler = build_sampler("vllm", folder, chat.end_ids, 64, torch.float32, 256, kv_cache_gib=0.1)
    yield Pair(sampler, model)
    sampler.close()


@pytest.fixture
def pair(opened):
    return opened.reset()


def test_prompts_of_more_tokens_than_one_step_takes_are_all_sampled(chat, pair):
    """Seeded requests whose prompt would be computed in two steps fail on a CPU, so it never is."""
    base = [token for prompt in prompts(chat, 30) for token in prompt][:230]
    for i in range(50):
        pair.sampler.add_request(str(i), [*base[i:], *base[:i]], SamplingParams(max_tokens=4, seed=i))
    done = drain(pair.sampler)
    assert len(done) == 50 and all(len(made.token_ids) == 4 or made.stopped for made in done.values())


def test_a_later_turn_and_an_equal_prompt_find_their_prefix_in_the_cache(chat, pair):
    from vllm import SamplingParams as VllmParams
    from vllm.inputs import tokens_input

    ids = [token for prompt in prompts(chat, 4) for token in prompt]
    pair.sampler.add_request("first", ids, GREEDY)
    drain(pair.sampler)
    with pair.sampler.engine_at_work() as engine:
        engine.add_request("equal", tokens_input(ids), VllmParams(max_tokens=1, detokenize=False))
        (output,) = engine.step()
    assert output.num_cached_tokens == len(ids) // 32 * 32


def run_environment(chat, sampler, lockstep):
    tasks = [Task(f"t{i}", f"What is {i} plus 2?", ("2",), "calculator") for i in range(12)]
    wanted = [RolloutRequest(task, seed=7 * i, temperature=1.0) for i, task in enumerate(tasks)]
    toolbox = Toolbox(Toolset.builtin("calculator"))
    with Environment(sampler, toolbox, chat, RolloutLimits(max_tokens=200, max_turn_tokens=30), lockstep) as rollouts:
        return rollouts.rollout(wanted)


def test_lockstep_rollouts_repeat_bit_for_bit(chat, pair):
    runs = []
    for _ in range(2):
        pair.sampler.forget()
        runs.append([(t.tokens.token_ids, t.tokens.logprobs) for t in run_environment(chat, pair.sampler, True)])
    assert runs[0] == runs[1]


def test_a_request_that_vllm_takes_exception_to_harms_no_other(chat, pair):
    ids = prompts(chat, 1)[0]
    with pytest.raises(SamplerError, match="^session s: vLLM takes no such request: temperature must be in") as refused:
        pair.sampler.add_request("s", ids, SamplingParams(max_tokens=3, temperature=5.0))
    assert "\n" not in str(refused.value)
    pair.sampler.add_request("s", ids, GREEDY)
    assert len(drain(pair.sampler)["s"].token_ids) == 12


def test_weights_of_another_model_are_refused(pair):
    with pytest.raises(SamplerError, match="^vLLM failed: There is no module or parameter named 'nothing'") as refused:
        pair.sampler.load_weights([("model.nothing.weight", torch.zeros(2))])
    assert "\n" not in str(refused.value)
    pair.sampler._failure = None  # for the tests after this one, which begin with a whole push


def test_what_fails_while_weights_are_handed_over_stays_what_it_is(pair):
    def weights():
        yield next(iter(pair.model.named_parameters()))
        raise ZeroDivisionError("of the policy")

    with pytest.raises(ZeroDivisionError, match="of the policy"):
        pair.sampler.load_weights(weights())
    with pytest.raises(SamplerError, match="is not usable any more"):
        pair.sampler.add_request("s", [1, 2, 3], GREEDY)
    pair.sampler._failure = None  # for the tests after this one, which begin with a whole push


def test_an_engine_that_fails_ends_the_rollout_in_one_line_and_can_be_closed(chat, pair, monkeypatch):
    core = pair.sampler._engine.core.engine_core.engine_core
    step, steps = core.step_fn, []

    def failing():
        steps.append(1)
        if len(steps) > 5:
            raise RuntimeError("the kernel is gone.\nSee elsewhere.")
        return step()

    monkeypatch.setattr(core, "step_fn", failing)
    with pytest.raises(SamplerError, match="^vLLM failed: the kernel is gone$"):
        run_environment(chat, pair.sampler, False)
    with pytest.raises(SamplerError, match="is not usable any more: the kernel is gone"):
        pair.sampler.add_request("next", [1, 2, 3], GREEDY)
    pair.sampler.close()
    pair.sampler.close()
    with pytest.raises(SamplerError, match="is not usable any more: it is closed"):
        pair.sampler.add_request("next", [1, 2, 3], GREEDY)


# --- one engine after another: the module's own is closed from here on ---------------------------------------------


def test_evaluation_loads_no_second_model(opened, chat, tmp_path, monkeypatch):
    opened.sampler.close()
    importlib.import_module("bm25s")  # tools=search: it loads numba, an object of which an engine's start trips over
    save_student(chat, tmp_path)
    monkeypatch.setattr("transformers.AutoModelForCausalLM.from_pretrained", None)
    sampling = SamplerConfig(name="vllm", max_tokens=128, max_turn_tokens=8, max_running=4, kv_cache_gib=0.1)
    settings = (tmp_path, Toolbox(Toolset.builtin("calculator")), ModelConfig(name="m"))
    with student_environment(*settings, sampling) as environment:
        sampler = environment.sampler
        (trajectory,) = environment.rollout([RolloutRequest(Task("t", "What is 1 plus 2?", ("3",), "calculator"), 0)])
        sampled = sum(trajectory.tokens.loss_mask)
        tokens = trajectory.tokens.token_ids[: trajectory.tokens.loss_mask.index(True) + 1]
        assert sampled and trajectory.tokens.logprobs[len(tokens) - 1] == pytest.approx(
            recomputed(opened.model, tokens, 1)[0], abs=1e-3
        )
    with pytest.raises(SamplerError, match="it is closed"):
        sampler.add_request("s", [1], GREEDY)


def test_an_export_of_merged_adapters_loads_and_samples_as_the_adapter_model(opened, chat, tmp_path):
    opened.sampler.close()
    model = adapted(copy.deepcopy(opened.model))
    make_policy(model, chat, learning_rate=0.0).save_model(tmp_path)
    chat.tokenizer.save_pretrained(tmp_path)
    ids = [token for prompt in prompts(chat, 3) for token in prompt]
    expected = recomputed(model, ids, 8)
    assert recomputed(opened.model, ids, 8) != pytest.approx(expected, abs=0.01)
    sampler = build_sampler("vllm", tmp_path, chat.end_ids, 4, torch.float32, 256, kv_cache_gib=0.1)
    try:
        assert sampler.logprobs(ids, 8, 1.0) == pytest.approx(expected, abs=1e-3)
    finally:
        sampler.close()


@pytest.mark.slow
@pytest.mark.proof
def test_bench_sampler_runs_to_its_report(chat, tmp_path):
    save_student(chat, tmp_path / "student")
    script = conf_dir().parent / "scripts" / "bench_sampler.py"
    small = ["--prompts=3", "--group-size=2", "--rounds=1", "--threads=1"]
    record = tmp_path / "record.json"
    command = [sys.executable, script, "--model", tmp_path / "student", *small, "--json", record]
    assert "6 trajectories" in subprocess.run(command, capture_output=True, text=True, check=True).stdout
    rates, pushes = json.loads(record.read_text())["tables"]
    assert [row[0] for row in rates["rows"]][:2] == ["sampler=transformers", "sampler=vllm"] and len(rates["rows"]) == 5
    assert all(rate > 0 for row in rates["rows"] for rate in row[1:]) and pushes["rows"][0][0] == "weight push, ms"
