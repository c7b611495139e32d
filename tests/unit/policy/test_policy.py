from dataclasses import replace

import pytest
import torch
from safetensors.torch import load_file

from mentor.algorithm.loss import LossSettings
from mentor.chat import ChatFormat
from mentor.errors import InputError, PolicyError
from mentor.policy import OptimizerSettings
from mentor.policy.model import load_model
from mentor.policy.ranks import Ranks
from mentor.policy.supervised import batches, check_masks, supervised_loss, train_supervised
from mentor.rl.update import make_loss_function
from tests.fixtures.policies import build_policy, gradients_of, make_batch, make_policy, make_tokens, weights_of
from tests.fixtures.students import make_small_student


def test_logprobs_are_those_of_a_plain_forward_at_the_temperature(student, chat):
    batch = make_batch()
    ours = make_policy(student, chat, temperature=0.7).logprobs(batch)
    for row in range(len(batch)):
        length = int(batch.attention[row].sum())
        ids = batch.token_ids[row, :length]
        with torch.no_grad():
            logits = student(input_ids=ids[None]).logits[0, :-1] / 0.7
        expected = torch.log_softmax(logits, -1).gather(1, ids[1:, None])[:, 0]
        mask = batch.loss_mask[row, 1:length]
        assert torch.allclose(ours[row, 1:length][mask], expected[mask], atol=1e-5)


@pytest.mark.parametrize("loss_mean", ["token", "sequence"])
def test_any_split_into_micro_batches_gives_the_same_update(chat, loss_mean):
    results = []
    for budget in (10_000, 40, 1):
        policy = make_policy(make_small_student(chat), chat, micro_batch_tokens=budget)
        stats = policy.update(make_batch(loss_mean=loss_mean), make_loss_function(LossSettings(0.2, 0.28)))
        results.append((stats, gradients_of(policy)))
    (whole, gradients), *others = results
    for stats, other in others:
        assert {k: v for k, v in stats.items()} == pytest.approx(whole, rel=1e-4, abs=1e-6)
        assert all(torch.allclose(gradients[name], other[name], rtol=1e-3, atol=1e-6) for name in gradients)


def test_only_trained_tokens_decide_the_supervised_loss(student, chat):
    batch = make_batch(4)
    policy = make_policy(student, chat)
    expected = -(policy.logprobs(batch)[batch.loss_mask]).mean().item()
    assert policy.update(batch, supervised_loss)["loss/train"] == pytest.approx(expected, rel=1e-5)


def test_an_update_raises_the_probability_of_what_was_better(student, chat):
    policy = make_policy(student, chat)
    batch = make_batch()
    before = policy.logprobs(batch)
    policy.update(batch, make_loss_function(LossSettings(10.0, 10.0)))
    change = ((policy.logprobs(batch) - before) * batch.loss_mask).sum(1)
    assert float((change * batch.advantages).sum()) > 0


def test_the_kl_term_pulls_back_to_the_reference(chat):
    # no advantage at all: the first update has no KL either, a moved policy is pulled back
    reference = make_policy(make_small_student(chat), chat)
    policy = make_policy(make_small_student(chat), chat)
    policy.update(make_batch(), supervised_loss)
    batch = make_batch()
    batch = replace(batch, advantages=torch.zeros(len(batch)), ref_logprobs=reference.logprobs(batch))
    loss_function = make_loss_function(LossSettings(0.2, 0.28, kl_coef=1.0, kl_estimator="k3"))
    kls = [policy.update(batch, loss_function)["policy/kl"] for _ in range(12)]
    assert kls[0] > 0 and kls[-1] < kls[0]


def test_a_loss_that_is_not_finite_stops_the_run(student, chat):
    student.lm_head.weight.data[0, 0] = float("nan")
    with pytest.raises(PolicyError, match="the loss is nan at optimiser step 0"):
        make_policy(student, chat).update(make_batch(), supervised_loss)


@pytest.mark.parametrize("optimizer", ["adamw", "muon"])
def test_a_restored_policy_goes_on_bit_for_bit(chat, tmp_path, optimizer):
    unbroken = make_policy(make_small_student(chat), chat, optimizer)
    unbroken.update(make_batch(), supervised_loss)
    unbroken.save_state(tmp_path)
    restored = make_policy(make_small_student(chat, seed=5), chat, optimizer)
    restored.load_state(tmp_path)
    assert restored.step == 1
    for policy in (unbroken, restored):
        policy.update(make_batch(), supervised_loss)
    assert all(torch.equal(value, weights_of(restored)[name]) for name, value in weights_of(unbroken).items())


def test_a_saved_model_is_loaded_by_transformers_with_its_tokenizer(student, chat, tmp_path):
    make_policy(student, chat).save_model(tmp_path)
    assert "model.embed_tokens.weight" in load_file(tmp_path / "model.safetensors")
    again = load_model(tmp_path)
    ids = torch.tensor([chat.encode("What is 3 plus 4?")])
    assert torch.equal(again(input_ids=ids).logits, student.eval()(input_ids=ids).logits)
    assert ChatFormat.from_pretrained(tmp_path).encode("12 plus") == chat.encode("12 plus")
    with pytest.raises(InputError, match="cannot be loaded"):
        load_model(tmp_path / "missing")


def test_schedule_of_the_learning_rate():
    linear = OptimizerSettings("adamw", 1.0, warmup_steps=2, schedule="linear", total_steps=10)
    assert [linear.factor(step) for step in (0, 1, 2, 6, 10)] == [0.5, 1.0, 1.0, 0.5, 0.0]
    assert OptimizerSettings("adamw", 1.0).factor(99) == 1.0


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


def test_a_stopped_training_goes_on_as_if_it_had_not(chat, tmp_path):
    from mentor.config import LoggerConfig
    from mentor.loggers import build_logger

    records = [make_tokens(i) for i in range(20)]

    def train(folder, steps):
        folder.mkdir(exist_ok=True)
        logger = build_logger(LoggerConfig(console=False, wandb="disabled"), folder)
        policy = make_policy(make_small_student(chat), chat)
        options = dict(batch_tokens=40, save_every=2, seed=0, pad_id=0, folder=folder, logger=logger, ranks=Ranks())
        totals = train_supervised(policy, records, steps=steps, **options)
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


def test_a_gradient_that_is_not_finite_stops_the_run_before_the_weights_change(student, chat):
    policy = make_policy(student, chat)
    before = weights_of(policy)
    with pytest.raises(PolicyError, match="the gradient norm is (nan|inf) at optimiser step 0"):
        policy.update(make_batch(), lambda output, batch: ((output.logprobs * 0).abs().sqrt().sum(), {}))
    assert all(torch.equal(value, before[name]) for name, value in weights_of(policy).items())


def test_a_norm_limit_of_zero_clips_nothing(chat):
    changed = []
    for limit in (0.0, 1e9):
        settings = OptimizerSettings("adamw", 1e-2, max_grad_norm=limit)
        policy = build_policy(make_small_student(chat), chat.tokenizer, settings)
        policy.update(make_batch(), supervised_loss)
        changed.append(weights_of(policy))
    assert all(torch.equal(value, changed[1][name]) for name, value in changed[0].items())
    start = dict(make_small_student(chat).named_parameters())
    assert not any(torch.equal(value, start[name]) for name, value in changed[0].items())
