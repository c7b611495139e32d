"""stage=rl with a teacher, in this process and behind an endpoint: what it trains on, stores and refuses."""

from dataclasses import replace

import pytest
import torch
from safetensors.torch import load_file

from mentor.config import DistillConfig, DistillTeacher
from mentor.errors import InputError
from mentor.jsonl import read_jsonl
from mentor.stages import rl
from mentor.stages.distill_teacher import refuse_other_vocabulary
from tests.fixtures.scoring_server import ScoringServer
from tests.fixtures.students import make_small_student
from tests.fixtures.training_run import make_run, run_stage
from tests.unit.stages.test_rl import config, worked


def distilling(teacher: DistillTeacher, **keys):
    return replace(config(2), distill=DistillConfig(coef=1.0, reward_coef=0.0, **keys, teacher=teacher))


@pytest.fixture
def run(tmp_path, chat):
    """A run with a base and a task, and a teacher's model beside it."""
    make_run(tmp_path, chat, [worked()])
    teacher = tmp_path / "big"
    make_small_student(chat, seed=3).save_pretrained(teacher)
    chat.tokenizer.save_pretrained(teacher)
    return tmp_path


@pytest.mark.parametrize("placement", ["advantage", "loss"])
def test_a_teacher_here_and_one_behind_an_endpoint_train_alike_where_no_reward_says_anything(run, chat, placement):
    pytest.importorskip("openai")
    keys = {"placement": placement, "top_k": 5}
    here = distilling(DistillTeacher(path=str(run / "big"), offload=True), **keys)
    result = run_stage(rl.run, here, run, "rl-here-s0")
    rows = list(read_jsonl(run / "rl-here-s0/metrics.jsonl"))
    assert [row["policy/updates"] for row in rows] == [2.0, 2.0] and all(row["time/teacher_s"] > 0 for row in rows)
    assert result.counts["teacher_tokens"] == sum(row["distill/teacher_tokens"] for row in rows) > 0
    stored = list(read_jsonl(run / "rl-here-s0/trajectories/trajectories.jsonl"))
    assert {row["advantage"] for row in stored} == {0.0}, "all rewards are equal"
    if placement == "advantage":
        assert all(row["distill/advantage_share"] == 1.0 for row in rows)
        assert all(len(row["distilled"]) == sum(row["tokens"]["loss_mask"]) for row in stored)
    else:
        assert all(row["distill/divergence"] > 0 for row in rows) and not any("distilled" in row for row in stored)
    with ScoringServer(make_small_student(chat, seed=3), chat.tokenizer) as server:
        there = DistillTeacher(base_url=server.base_url, model="big")
        run_stage(rl.run, distilling(there, **keys), run, "rl-there-s0")
        assert len(server.bodies) == len(list(read_jsonl(run / "rl-there-s0/distill/answers.jsonl"))) <= 8
    one, other = (load_file(run / f"rl-{name}-s0/model/model.safetensors") for name in ("here", "there"))
    assert all(torch.allclose(one[name], other[name], atol=1e-5) for name in one)


def test_another_tokenizer_is_refused_with_its_first_difference(chat, run):
    other = type(chat.tokenizer).from_pretrained(run / "big")
    refuse_other_vocabulary(chat.tokenizer, other, "distill.teacher.path=big")
    other.add_tokens(["<zebra>", "<yak>"])
    expected = (
        rf"distill.teacher.path=big has another tokenizer than the student: 2 tokens differ, such as '<yak>' "
        rf"\(token {len(chat.tokenizer) + 1} there, no token here\).*accepted: a teacher with the student's tokenizer"
    )
    with pytest.raises(InputError, match=expected):
        refuse_other_vocabulary(chat.tokenizer, other, "distill.teacher.path=big")
    other.save_pretrained(run / "big")
    with pytest.raises(InputError, match="2 tokens differ"):
        run_stage(rl.run, distilling(DistillTeacher(path=str(run / "big"))), run, "rl-other-s0")


def test_an_endpoint_that_spells_tokens_otherwise_is_refused(chat, run):
    pytest.importorskip("openai")
    other = type(chat.tokenizer).from_pretrained(run / "big")
    other.add_tokens(["<zebra>"])

    class Shifted:
        def decode(self, ids):
            return other.decode([token + 1 for token in ids])

    with ScoringServer(make_small_student(chat), Shifted()) as server:
        there = DistillTeacher(base_url=server.base_url, model="big")
        with pytest.raises(InputError, match="model=big has another tokenizer than the student: it spells all tokens"):
            run_stage(rl.run, distilling(there), run, "rl-there-s0")
