from dataclasses import replace

import pytest
import torch
from safetensors.torch import load_file

from mentor.algorithm.loss import LossSettings
from mentor.chat import ChatFormat
from mentor.errors import InputError, PolicyError
from mentor.policy import MostLikely, Truncation, lm_head
from mentor.policy.model import load_model
from mentor.policy.supervised import supervised_loss
from mentor.rl.update import make_loss_function
from tests.fixtures.families import FAMILIES, make_family
from tests.fixtures.policies import gradients_of, make_batch, make_policy, weights_of
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


def test_the_most_likely_tokens_come_with_their_logprobs_in_any_micro_batches(student, chat):
    batch = make_batch()
    found = [
        make_policy(student, chat, temperature=0.7, **options).most_likely(batch, MostLikely(3, 290))
        for options in ({}, {"micro_batch_tokens": 1}, {"packing": True})
    ]
    logprobs, listed, listed_logprobs = found[0]
    with torch.no_grad():
        logits = student(input_ids=batch.token_ids, attention_mask=batch.attention.long()).logits[:, :-1] / 0.7
    expected, mask = torch.log_softmax(logits, -1), batch.loss_mask[:, 1:]
    top = logits[..., :290].topk(3).indices
    assert torch.equal(listed[:, 1:][mask], top[mask].int()) and not listed[~batch.loss_mask].any()
    assert torch.allclose(listed_logprobs[:, 1:][mask], expected.gather(2, top)[mask], atol=1e-5)
    assert torch.allclose(logprobs, make_policy(student, chat, temperature=0.7).logprobs(batch), atol=1e-5)
    for other in found[1:]:
        assert torch.equal(other[1], listed) and torch.allclose(other[2], listed_logprobs, atol=1e-5)


def test_entropies_are_computed_where_a_loss_reads_them_alone(student, chat, monkeypatch):
    computed = []
    entropy = lm_head._entropy
    monkeypatch.setattr(lm_head, "_entropy", lambda *numbers: computed.append(len(numbers[0])) or entropy(*numbers))
    policy, batch = make_policy(student, chat), make_batch()
    policy.logprobs(batch)
    policy.truncated(batch, Truncation(top_k=4))
    policy.update(batch, supervised_loss, with_entropies=False)
    assert computed == []
    stats = policy.update(batch, make_loss_function(LossSettings(0.2, 0.28)))
    assert sum(computed) == int(batch.loss_mask.sum()) and stats["policy/entropy"] > 0


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


def test_an_update_raises_the_probability_of_what_was_better(student, chat):
    policy = make_policy(student, chat)
    batch = make_batch()
    before = policy.logprobs(batch)
    policy.update(batch, make_loss_function(LossSettings(10.0, 10.0)))
    change = (policy.logprobs(batch) - before) * batch.loss_mask
    assert float((change * batch.advantages).sum()) > 0


def test_the_kl_term_pulls_back_to_the_reference(chat):
    # no advantage at all: the first update has no KL either, a moved policy is pulled back
    reference = make_policy(make_small_student(chat), chat)
    policy = make_policy(make_small_student(chat), chat)
    policy.update(make_batch(), supervised_loss)
    batch = make_batch()
    batch = replace(batch, advantages=torch.zeros(batch.loss_mask.shape), ref_logprobs=reference.logprobs(batch))
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


@pytest.mark.parametrize("name", FAMILIES)
def test_weights_have_the_names_and_shapes_of_a_saved_model(name, chat, tmp_path):
    """Which differ from those in memory for experts and for models with eyes."""
    model = make_family(name)
    policy = make_policy(model, chat)
    policy.save_model(tmp_path)
    saved, given = load_file(tmp_path / "model.safetensors"), dict(policy.weights())
    buffers = {key for key in saved if key.endswith(".layer_scalar")}
    assert saved.keys() == given.keys() | buffers and bool(buffers) == name.startswith("gemma4")
    assert all(torch.equal(saved[key], value) for key, value in given.items())
    again = dict(load_model(tmp_path).named_parameters())
    assert all(torch.equal(again[key], value) for key, value in model.named_parameters())
    renamed = given.keys() != dict(model.named_parameters()).keys()
    assert renamed == (name in ("gemma3_mm", "qwen3.5_moe")) or name == "nemotron_h"
