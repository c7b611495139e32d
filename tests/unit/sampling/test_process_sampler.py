"""An embedded sampler in a process of its own: the same samples, and one line when the process ends, hangs or fails."""

import os
import signal

import pytest
import torch

from mentor.errors import SamplerError
from mentor.policy.ranks import Ranks
from mentor.sampling import SamplingParams, TransformersSampler, process_sampler
from mentor.sampling.engine_group import EngineGroup
from tests.fixtures.policies import make_policy
from tests.fixtures.sampler_threads import open_silent, open_threads
from tests.fixtures.samplers import adapted, drain, open_pair, prompts, recomputed, save_student


@pytest.fixture
def pair(chat, tmp_path):
    model = save_student(chat, tmp_path)
    with open_threads(2, tmp_path, chat.end_ids) as engines:
        yield EngineGroup(engines, torch.float32, Ranks()), model


def test_samples_are_those_of_one_process(chat, pair):
    group, model = pair
    alone = TransformersSampler(model, chat.end_ids, max_running=8, max_tokens=256)
    for sampler in (group, alone):
        for i, prompt in enumerate(prompts(chat, 12)):
            for member in range(3):
                sampler.add_request(f"{i} {member}", prompt, SamplingParams(max_tokens=9, seed=3 * i + member))
    assert all(engine.busy for engine in group.engines)
    found, expected = drain(group), drain(alone)
    assert found.keys() == expected.keys()
    for session, completion in found.items():
        assert completion.token_ids == expected[session].token_ids
        assert completion.stopped == expected[session].stopped
        assert completion.logprobs == pytest.approx(expected[session].logprobs, abs=1e-5)


def test_new_weights_arrive_and_are_summed_up_and_caches_end(chat, pair):
    group, model = pair
    ids = [token for prompt in prompts(chat, 4) for token in prompt]
    group.add_request("s", ids, SamplingParams(max_tokens=9, temperature=0.0))
    drain(group)
    group.sleep()
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.mul_(1.05)
    group.load_weights(model.named_parameters())
    sums = TransformersSampler(model, ()).checksums()
    for engine in group.engines:
        assert engine.logprobs(ids, 8, 1.0) == pytest.approx(recomputed(model, ids, 8), abs=1e-5)
        assert engine.checksums() == sums
    group.add_request("s", ids, SamplingParams(max_tokens=9, seed=4))
    (completion,) = drain(group).values()
    expected = recomputed(model, ids + completion.token_ids, len(completion.token_ids))
    assert completion.logprobs == pytest.approx(expected, abs=1e-5)


def test_adapters_are_pushed_alone_and_sampled_with(chat, tmp_path):
    base = save_student(chat, tmp_path)
    policy = make_policy(adapted(base), chat)
    ids = [token for prompt in prompts(chat, 4) for token in prompt]
    with open_threads(1, tmp_path, chat.end_ids, lora_rank=4) as engines:
        group = EngineGroup(engines, torch.float32, Ranks(), takes_adapter=True)
        plain = engines[0].logprobs(ids, 8, 1.0)
        group.load_weights(policy.adapter(scaled=True))
        expected = recomputed(policy.model, ids, 8)
        assert plain != pytest.approx(expected, abs=0.01)
        assert engines[0].logprobs(ids, 8, 1.0) == pytest.approx(expected, abs=1e-5)


def test_requests_that_make_no_sense_are_refused_at_once(chat, pair):
    group, _ = pair
    ids = prompts(chat, 1)[0]
    with pytest.raises(SamplerError, match="token 1000000, accepted: 0 to"):
        group.add_request("t", [*ids, 10**6], SamplingParams(max_tokens=3))
    group.add_request("s", ids, SamplingParams(max_tokens=3))
    with pytest.raises(SamplerError, match="already has a running request"):
        group.add_request("s", ids, SamplingParams(max_tokens=3))
    for during in (group.sleep, lambda: group.engines[0].logprobs(ids, 1, 1.0)):
        with pytest.raises(SamplerError, match="while requests run"):
            during()
    with pytest.raises(SamplerError, match="ended while its request runs"):
        group.end_session("s")
    drain(group)


def test_a_process_that_fails_says_why(chat, tmp_path):
    said = r"^the process \d+ of sampler=transformers failed: model.path=.*nowhere"
    with open_threads(1, tmp_path / "nowhere", chat.end_ids) as (engine,), pytest.raises(SamplerError, match=said):
        engine.add_request("s", [1], SamplingParams(max_tokens=1))


@pytest.mark.parametrize(
    ("how", "message"),
    [(signal.SIGKILL, r"^the process \d+ of sampler=transformers was ended by SIGKILL$")]
    + [(signal.SIGSTOP, r"^the process \d+ of sampler=transformers hangs: it said nothing for 1 s$")],
)
def test_a_process_that_dies_or_hangs_is_named(chat, how, message, monkeypatch):
    monkeypatch.setattr(process_sampler, "SILENT_S", 1.0)
    with open_silent(chat.end_ids) as engine:
        engine.add_request("s", [1, 2], SamplingParams(max_tokens=5))
        assert engine.step() == [] and engine.busy
        os.kill(engine._process.pid, how)
        with pytest.raises(SamplerError, match=message):
            while True:
                engine.step()
    assert engine._process.returncode == -signal.SIGKILL


@pytest.mark.slow
def test_two_processes_keep_the_contract(chat, tmp_path):
    with open_pair("transformers", chat, tmp_path, placement="separate", engines=2) as pair:
        sampler, ids = pair.sampler, prompts(chat, 12)
        pair.reset()
        assert sampler.engines[0].checksums() == sampler.engines[1].checksums()
        for i, prompt in enumerate(ids):
            sampler.add_request(str(i), prompt, SamplingParams(max_tokens=9, seed=i))
        for name, completion in drain(sampler).items():
            expected = recomputed(pair.model, ids[int(name)] + completion.token_ids, len(completion.token_ids))
            assert completion.logprobs == pytest.approx(expected, abs=1e-4)
        processes = [engine._process for engine in sampler.engines]
        for i, prompt in enumerate(ids):
            sampler.add_request(f"again {i}", prompt, SamplingParams(max_tokens=200, temperature=0.0))
        sampler.step()
        os.kill(processes[1].pid, signal.SIGKILL)
        with pytest.raises(SamplerError, match=f"^the process {processes[1].pid} .* was ended by SIGKILL$"):
            drain(sampler)
    assert [process.returncode for process in processes] == [-signal.SIGKILL] * 2
