"""Supervised training: the loss, refused data, batches, and a training that was stopped."""

import pytest
import torch

from mentor.errors import InputError
from mentor.policy.control import ControlSettings, TrainingControl
from mentor.policy.supervised import (
    SupervisedPhase,
    batches,
    batches_of,
    check_masks,
    supervised_loss,
    train_supervised,
)
from tests.fixtures.policies import make_batch, make_policy, make_tokens, weights_of
from tests.fixtures.students import make_small_student


def test_only_trained_tokens_decide_the_supervised_loss(student, chat):
    batch = make_batch(4)
    policy = make_policy(student, chat)
    expected = -(policy.logprobs(batch)[batch.loss_mask]).mean().item()
    assert policy.update(batch, supervised_loss)["loss/train"] == pytest.approx(expected, rel=1e-5)


def test_data_trained_nowhere_or_everywhere_is_refused():
    check_masks([make_tokens(0)], "rows.jsonl")
    with pytest.raises(InputError, match=r"rows.jsonl: record 1 would be trained on 0 % of its 6 tokens"):
        check_masks([make_tokens(0), make_tokens(1, 6, 0)], "rows.jsonl")
    with pytest.raises(InputError, match="trained on 100 % of its 5 tokens"):
        check_masks([make_tokens(0, 0, 5)], "rows.jsonl")


def test_an_epoch_of_batches_holds_every_record_once_within_the_budget():
    records = [make_tokens(i, 3 + i % 9, 2 + i % 5) for i in range(50)]
    source = batches(records, batch_tokens=60, seed=1)
    seen = []
    while len(seen) < 50:
        part = next(source)
        assert max(map(len, part)) * len(part) <= 60
        seen += [id(tokens) for tokens in part]
    assert sorted(seen) == sorted(map(id, records))


def test_each_phase_has_its_steps_and_its_records():
    first, last = [make_tokens(i) for i in range(6)], [make_tokens(10 + i) for i in range(4)]
    phases = [SupervisedPhase(first, 5), SupervisedPhase(last, 3)]
    made = list(batches_of(phases, batch_tokens=20, seed=0))
    sources = [{id(tokens) for tokens in part} for part in (first, last)]
    assert [[{id(tokens) for tokens in part} <= source for source in sources] for part in made] == (
        [[True, False]] * 5 + [[False, True]] * 3
    )
    alone = batches(first, 20, seed=0)
    assert made[:5] == [next(alone) for _ in range(5)]


def test_a_stopped_training_goes_on_as_if_it_had_not(chat, tmp_path):
    from mentor.config import LoggerConfig
    from mentor.loggers import build_logger

    records = [make_tokens(i) for i in range(20)]

    def train(folder, steps):
        folder.mkdir(exist_ok=True)
        logger = build_logger(LoggerConfig(console=False, wandb="disabled"), folder)
        policy = make_policy(make_small_student(chat), chat)
        control = TrainingControl(folder, ControlSettings(steps, save_every=2), policy, logger)
        control.resume()
        phases = [SupervisedPhase(records, 6)]
        totals = train_supervised(policy, phases, control, batch_tokens=40, seed=0, pad_id=0, logger=logger)
        logger.close()
        return policy, totals

    unbroken, _ = train(tmp_path / "a", 6)
    train(tmp_path / "b", 3)
    resumed, totals = train(tmp_path / "b", 6)
    assert totals["first_step"] == 4
    assert all(torch.equal(value, weights_of(resumed)[name]) for name, value in weights_of(unbroken).items())
    assert [path.name for path in sorted((tmp_path / "b/checkpoints").iterdir())] == ["step-00000004", "step-00000006"]
    assert len((tmp_path / "b/metrics.jsonl").read_text().splitlines()) == 6
    _, again = train(tmp_path / "b", 6)  # all steps done, as after a stop while the model was being saved
    assert again["loss"] == totals["loss"]
