import pytest
import torch

from mentor.sampling import SamplingParams
from mentor.sampling.scripted_sampler import ScriptedSampler

PARAMS = SamplingParams(max_tokens=8)


def test_each_session_replays_its_turns_in_order():
    sampler = ScriptedSampler({"a": [[5, 6], [7, 1]], "b": [[8, 1]]}, end_ids=[1])
    assert not sampler.busy and sampler.step() == []
    sampler.add_request("b", [0], PARAMS)
    sampler.add_request("a", [0], PARAMS)
    assert sampler.busy
    done = sampler.step()
    assert [(turn.session, turn.token_ids, turn.logprobs, turn.stopped) for turn in done] == [
        ("b", [8, 1], [0.0, 0.0], True),
        ("a", [5, 6], [0.0, 0.0], False),
    ]
    sampler.end_session("b")
    sampler.add_request("a", [0, 5, 6], PARAMS)
    (turn,) = sampler.step()
    assert turn.token_ids == [7, 1] and not sampler.busy
    with pytest.raises(KeyError):
        sampler.end_session("b")


def test_it_has_no_weights_and_reads_those_it_is_given():
    sampler = ScriptedSampler({}, end_ids=[1])
    read = []
    sampler.load_weights((read.append(name), (name, torch.zeros(1)))[1] for name in ("a", "b"))
    assert read == ["a", "b"] and sampler.checksums() is None and sampler.logprobs([1, 2, 3], 2, 1.0) == [0.0, 0.0]
