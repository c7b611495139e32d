"""Models that are not plain full attention through the command line: trained, saved, sampled, weights pushed."""

import shutil
from contextlib import chdir
from pathlib import Path

import pytest

from mentor.chat import ChatFormat
from mentor.cli import main
from tests.fixtures.families import make_family
from tests.fixtures.flow import SMALL, records, summary
from tests.fixtures.samplers import needs_vllm

OWN = ["reward=flexible", "reward.floors.no_answer=0.5"]  # so that ending a turn counts, which random students do
FEW = ["trainer.prompts_per_step=2", "trainer.group_size=16", "sampler.max_turn_tokens=48", "sampler.max_tokens=700"]
RL = ["stage=rl", *SMALL, *OWN, *FEW, "trainer.packing=true"]
SAMPLER = {"transformers": [], "vllm": ["sampler=vllm", "sampler.kv_cache_gib=0.1"]}

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def taught(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder in which a teacher did the tasks."""
    folder = tmp_path_factory.mktemp("families")
    with chdir(folder):
        assert main(["stage=rollout", *SMALL]) == 0
    return folder


@pytest.mark.parametrize(
    "name, sampler",
    [
        ("gemma3", "transformers"),
        ("gpt_oss", "transformers"),
        pytest.param("gemma4", "vllm", marks=needs_vllm),
        pytest.param("granite4", "vllm", marks=needs_vllm),
        pytest.param("nemotron_h", "vllm", marks=needs_vllm),
    ],
)
def test_a_family_is_trained_and_its_sampler_has_the_policys_logprobs(
    name: str, sampler: str, taught: Path, chat: ChatFormat, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shutil.copytree(taught, tmp_path, dirs_exist_ok=True)
    monkeypatch.chdir(tmp_path)
    ends = {"eos_token_id": chat.eos_id, "pad_token_id": chat.pad_id, "max_position_embeddings": 1024}
    make_family(name, vocab_size=len(chat.tokenizer), **ends).save_pretrained("base")
    chat.tokenizer.save_pretrained("base")
    sft = ["stage=sft", *SMALL, "model.path=base", "trainer.packing=true", "trainer.learning_rate=0.02"]
    assert main(sft) == 0
    assert records("sft-s0/metrics.jsonl")[-1]["step"] == 2
    assert main([*RL, *SAMPLER[sampler], "model.path=outputs/flow/sft-s0/model"]) == 0
    steps = records("rl-flexible-s0/metrics.jsonl")
    assert summary("rl-flexible-s0")["counts"]["updates"] > 0
    assert len(steps) == 2 and steps[1]["policy/grad_norm"] > 0
    assert max(step["policy/mismatch_max"] for step in steps) < 1e-3
    assert max(step["sync/canary_difference"] for step in steps) < 1e-3
