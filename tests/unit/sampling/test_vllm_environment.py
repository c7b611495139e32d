"""What the start of an engine changes in this process is put back."""

import os
import random
import sys
import warnings

import numpy as np
import pytest
import torch

from mentor.errors import SamplerError
from mentor.sampling.vllm_environment import engine_environment, gpu_names, module_hidden, process_restored


def test_random_numbers_threads_and_warnings_are_restored():
    set_threads, threads = torch.set_num_threads, torch.get_num_threads()
    before = (random.getstate(), torch.get_rng_state().tolist(), np.random.get_state()[1].tolist())
    filters = list(warnings.filters)
    with pytest.raises(KeyError), process_restored():
        random.seed(1), torch.manual_seed(1), np.random.seed(1)
        torch.set_num_threads(threads + 1)
        torch.set_num_threads = print
        raise KeyError
    assert (random.getstate(), torch.get_rng_state().tolist(), np.random.get_state()[1].tolist()) == before
    assert torch.set_num_threads is set_threads and torch.get_num_threads() == threads
    assert warnings.filters == filters


def test_environment_variables_of_a_start_are_set_and_put_back(monkeypatch, tmp_path):
    for name in ("VLLM_LOGGING_LEVEL", "LD_PRELOAD", "HF_HUB_OFFLINE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("RANK", "3")
    monkeypatch.setenv("DO_NOT_TRACK", "mine")
    with engine_environment(str(tmp_path), separate=True, first_gpu=0, gpus=1):
        assert os.environ["VLLM_LOGGING_LEVEL"] == "ERROR" and os.environ["DO_NOT_TRACK"] == "mine"
        assert os.environ["VLLM_ENABLE_V1_MULTIPROCESSING"] == "1" and "RANK" not in os.environ
        assert os.environ["HF_HUB_OFFLINE"] == "1"
        os.environ["LD_PRELOAD"] = "of vLLM"
    assert os.environ["RANK"] == "3" and not {"VLLM_LOGGING_LEVEL", "LD_PRELOAD", "HF_HUB_OFFLINE"} & set(os.environ)
    with engine_environment("a/hub-name", separate=False, first_gpu=0, gpus=1):
        assert os.environ["RANK"] == "3" and "HF_HUB_OFFLINE" not in os.environ


def test_a_separate_engine_takes_gpus_that_this_process_sees(monkeypatch):
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "4,5,7")
    assert gpu_names(1, 2) == ["5", "7"]
    with pytest.raises(SamplerError, match="separate needs GPUs 2 to 3, this process sees 3; accepted: fewer"):
        gpu_names(2, 2)


def test_a_hidden_module_comes_back():
    sys.modules["mentor_hidden"] = sys
    with module_hidden("mentor_hidden"):
        assert "mentor_hidden" not in sys.modules
    assert sys.modules.pop("mentor_hidden") is sys
