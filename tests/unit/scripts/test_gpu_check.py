"""scripts/gpu_check.py: runs without a GPU as far as it can; its numbers need one."""

import pytest
import torch

from mentor.planning import ModelShape
from scripts import gpu_check


@pytest.fixture(autouse=True)
def one_thread():
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU")
def test_without_a_gpu_it_says_so_and_runs_the_tiny_shape(capsys: pytest.CaptureFixture[str]) -> None:
    assert gpu_check.main([]) == 1
    assert "there is no GPU here, so nothing was measured" in capsys.readouterr().err
    assert gpu_check.main(["--shape", "tiny", "--tokens", "64", "--length", "32", "--updates", "1"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 3 and "tokens/s" in lines[1] and "chunked" in lines[2] and "fused not measured" in lines[2]


@pytest.mark.parametrize("argument", ["--updates=0", "--tokens=-1", "--length=0"])
def test_a_measurement_of_nothing_is_refused(argument: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit, match="2"):
        gpu_check.main(["--shape=tiny", argument])
    assert "accepted: a whole number of 1 or more" in capsys.readouterr().err


def test_flops_of_a_token() -> None:
    shape = ModelShape(1000, 8, 24, 2, 4, 2, 64, head_dim=4, tie_word_embeddings=True)
    linear = 2 * (2 * 8 * 16 + 2 * 8 * 8 + 3 * 8 * 24)
    assert gpu_check.flops_per_token(shape, 10) == 6 * (linear + 8000) + 12 * 2 * 16 * 10


@pytest.mark.gpu
def test_the_plan_is_near_what_a_gpu_needs(capsys: pytest.CaptureFixture[str]) -> None:
    assert gpu_check.main(["--shape", "qwen3_0_6b", "--updates", "1"]) == 0
    said = capsys.readouterr().out
    assert 0.85 <= float(said.partition("(ratio ")[2].partition(")")[0]) <= 1.15, said
