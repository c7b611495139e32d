"""Several engines in processes of their own behind one sampler, and weights written once for those of a machine."""

import multiprocessing
import os
import signal
from pathlib import Path
from threading import Timer
from types import SimpleNamespace

import pytest
import torch
from safetensors.torch import load_file

from mentor.errors import SamplerError
from mentor.policy.ranks import Ranks
from mentor.sampling import SamplingParams, engine_group
from mentor.sampling.engine_group import EngineGroup, engine_count, weight_files
from tests.fixtures.recording_sampler import RecordingSampler
from tests.fixtures.samplers import drain, needs_vllm, open_pair, prompts, recomputed

PARAMS = SamplingParams(max_tokens=9)


class Local(Ranks):
    """One rank of two on the second of two machines, both of whose folders are known."""

    def __init__(self, local_rank: int, folder: Path | None = None) -> None:
        self.rank, self.size, self.local_rank, self.local_size = 2 + local_rank, 4, local_rank, 2
        self.folder, self.barriers = folder, 0

    def all_gather(self, value):
        return ["/of/the/first/machine", None, value or str(self.folder), None]

    def barrier(self):
        self.barriers += 1


def test_weights_are_written_by_one_rank_of_a_machine_and_gathered_by_all(tmp_path, monkeypatch):
    monkeypatch.setattr(engine_group, "FILE_BYTES", 100)
    weights = {f"layer.{i}": torch.arange(16.0) + i for i in range(5)}
    first = Local(0)
    with weight_files(weights.items(), torch.bfloat16, first) as folder:
        files = sorted(folder.glob("*.safetensors"))
        assert len(files) == 2 and first.barriers == 1, "32 bytes each, so four and one"
        found = {name: value for file in files for name, value in load_file(file).items()}
    assert first.barriers == 2 and not folder.exists()
    assert list(found) == list(weights) and found["layer.1"].dtype == torch.bfloat16
    assert all(torch.equal(value.float(), weights[name]) for name, value in found.items())
    read = iter(weights.items())
    with weight_files(read, torch.bfloat16, Local(1, tmp_path)) as folder:
        assert folder == tmp_path and not list(read) and not list(tmp_path.iterdir())


def test_shared_memory_that_is_too_small_is_named(monkeypatch):
    monkeypatch.setattr(engine_group.shutil, "disk_usage", lambda path: SimpleNamespace(free=2**20))
    with (
        pytest.raises(SamplerError, match=r"has 0\.0 GiB left, and all weights .* --shm-size"),
        weight_files({"a": torch.zeros(64)}.items(), torch.bfloat16, Ranks()),
    ):
        pass


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


class Remote(RecordingSampler):
    """An engine whose output is there after some looks at it."""

    has_output = True


def test_sessions_stay_with_their_engine_and_new_ones_go_where_there_are_fewest(chat):
    script = {name: ["1<|im_end|>", "2<|im_end|>"] for name in "abcde"}
    engines = [Remote(chat, script), Remote(chat, script)]
    group = EngineGroup(engines, torch.float32, Ranks())
    assert not group.busy and group.step() == []
    for session in "abc":
        group.add_request(session, [1], PARAMS)
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
        assert not list(engine_group.SHARED_MEMORY.glob("mentor-weights-*"))
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
        for session in ("s", "t"):
            sampler.add_request(session, ids[:20], SamplingParams(max_tokens=200, temperature=0.0))
        Timer(0.1, os.kill, (processes[1].pid, signal.SIGKILL)).start()
        with pytest.raises(SamplerError, match="^vLLM failed: its process was ended by SIGKILL$"):
            drain(sampler)
