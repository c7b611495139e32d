"""Several engines in processes of their own behind one sampler."""

import multiprocessing
import os
import signal
from threading import Timer

import pytest
import torch

from mentor.errors import SamplerError
from mentor.policy.ranks import Ranks
from mentor.sampling import SamplingParams
from mentor.sampling.engine_group import ALIKE, EngineGroup, engine_count, first_gpus
from mentor.sampling.weight_files import SHARED_MEMORY
from tests.fixtures.recording_sampler import RecordingSampler
from tests.fixtures.samplers import drain, needs_vllm, open_pair, prompts, recomputed

PARAMS = SamplingParams(max_tokens=9)


@pytest.mark.parametrize(
    ("gpus", "wanted", "tensor_parallel", "trained", "count"),
    [(8, None, 1, 2, 6), (8, None, 2, 2, 3), (8, None, 1, 0, 8), (1, None, 1, 1, 1), (8, 3, 1, 2, 3)]
    + [(0, None, 1, 2, 2), (0, None, 1, 0, 1), (0, 4, 1, 1, 4)],
)
def test_without_a_number_all_gpus_that_no_rank_trains_on_are_used(
    monkeypatch, gpus, wanted, tensor_parallel, trained, count
):
    monkeypatch.setattr(torch.cuda, "device_count", lambda: gpus)
    assert engine_count(wanted, tensor_parallel, trained) == count


def test_each_rank_of_a_machine_has_every_so_many_of_its_engines(monkeypatch):
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 8)
    second = Ranks()
    second.local_rank, second.local_size = 1, 2
    assert first_gpus(None, 2, second) == [4] and first_gpus(5, 1, second) == [3, 5]
    assert first_gpus(None, 4, None) == [0, 4], "no rank trains"


class Remote(RecordingSampler):
    """An engine whose output is there after some looks at it."""

    has_output = True


def test_sessions_stay_with_their_engine_and_new_ones_go_where_there_are_fewest(chat):
    script = {name: ["1<|im_end|>", "2<|im_end|>"] for name in "abcde"}
    engines = [Remote(chat, script), Remote(chat, script)]
    group = EngineGroup(engines, torch.float32, Ranks())
    assert not group.busy and group.step() == []
    for place, session in enumerate("abc"):
        group.add_request(session, [1 + place], PARAMS)
    assert [[name for name, _ in engine.order] for engine in engines] == [["a", "c"], ["b"]]
    engines[1].has_output = False
    assert {completion.session for completion in group.step()} == {"a", "c"} and group.busy, "waits for no other engine"
    group.end_session("a")
    group.end_session("c")
    group.add_request("d", [1, 2], PARAMS)
    assert engines[0].order[-1] == ("d", 2)
    engines[1].has_output = True
    drain(group)
    group.add_request("b", [1, 2, 3], PARAMS)
    assert engines[1].order[-1] == ("b", 3)
    EngineGroup([], torch.float32, Ranks()).close()


def test_a_group_of_one_prompt_goes_to_one_engine_and_a_large_one_to_all(chat):
    script = {str(name): ["1<|im_end|>"] for name in range(200)}
    engines = [Remote(chat, script), Remote(chat, script)]
    group = EngineGroup(engines, torch.float32, Ranks())
    for place in range(6):  # of eight each
        for member in range(8):
            group.add_request(str(8 * place + member), [place], PARAMS)
    found = [[int(name) // 8 for name, _ in engine.order] for engine in engines]
    assert found == [[place for place in places for _ in range(8)] for places in ((0, 2, 4), (1, 3, 5))]
    for session in range(48, 148):
        group.add_request(str(session), [9], PARAMS)
    counts = [len(engine.order) for engine in engines]
    assert sum(counts) == 148 and abs(counts[0] - counts[1]) <= ALIKE
    drain(group)
    group.sleep()
    group.add_request("199", [9], PARAMS)
    assert engines[0].order[-1] == ("199", 1), "all sessions have ended"


@needs_vllm
@pytest.mark.slow
def test_two_engines_keep_the_contract(chat, tmp_path):
    with open_pair("vllm", chat, tmp_path, placement="separate", engines=2) as pair:
        sampler, ids = pair.sampler, [token for prompt in prompts(chat, 4) for token in prompt]
        assert len(sampler.engines) == 2
        scored = sampler.engines[0].logprobs(ids, 8, 1.0)
        with torch.no_grad():
            for parameter in pair.model.parameters():
                parameter.mul_(1.05)
        sampler.load_weights(pair.model.named_parameters())
        for engine in sampler.engines:
            rescored = engine.logprobs(ids, 8, 1.0)
            assert rescored != pytest.approx(scored, abs=0.01)
            assert rescored == pytest.approx(recomputed(pair.model, ids, 8), abs=1e-3)
        assert sampler.engines[0].checksums() == sampler.engines[1].checksums()
        assert not list(SHARED_MEMORY.glob("mentor-weights-*"))
        for i, prompt in enumerate(prompts(chat, 12)):
            sampler.add_request(str(i), prompt, SamplingParams(max_tokens=9, seed=i))
        assert all(engine.busy for engine in sampler.engines)
        for name, completion in drain(sampler).items():
            expected = recomputed(pair.model, prompts(chat, 12)[int(name)] + completion.token_ids, 9)
            assert completion.logprobs == pytest.approx(expected, abs=1e-3)
        for name in range(12):
            sampler.end_session(str(name))
        processes = [child for child in multiprocessing.active_children() if child.name.startswith("EngineCore")]
        assert len(processes) == 2
        for first in (0, 1):  # prompts that differ go to the engine with fewer sessions
            sampler.add_request(f"s{first}", ids[first : first + 20], SamplingParams(max_tokens=200, temperature=0.0))
        assert all(engine.busy for engine in sampler.engines)
        Timer(0.1, os.kill, (processes[1].pid, signal.SIGKILL)).start()
        with pytest.raises(SamplerError, match="^vLLM failed: its process was ended by SIGKILL$"):
            drain(sampler)
