"""What is between the LM head and the logits: measured on the model's own forward, and used with its gradients."""

import math

import pytest
import torch

from mentor.algorithm.loss import LossSettings
from mentor.errors import PolicyError
from mentor.policy import OptimizerSettings
from mentor.policy.interface import PolicyOutput
from mentor.policy.lm_head import token_logprobs
from mentor.policy.logits import LogitMap, evaluating, read_logit_map
from mentor.policy.scorer import Scorer
from mentor.rl.update import make_loss_function
from tests.fixtures.families import FAMILIES, make_family
from tests.fixtures.policies import build_policy, gradients_of, make_batch

MAPS = {
    "llama": LogitMap(),
    "gemma2": LogitMap(cap=3.0),
    "gemma4": LogitMap(cap=3.0),
    "granite": LogitMap(scale=0.125),
    "granite4": LogitMap(scale=0.125),
    "cohere2": LogitMap(scale=0.25),
}


def test_scale_and_cap_by_hand():
    # products (log 9, 0) scaled by one half: p = (3/4, 1/4)
    hidden, weight = torch.tensor([[math.log(9.0)]]), torch.tensor([[1.0], [0.0]])
    logprobs, entropies = token_logprobs(hidden, weight, torch.tensor([1]), logit_map=LogitMap(scale=0.5))
    assert logprobs.item() == pytest.approx(math.log(1 / 4), abs=1e-6)
    assert entropies.item() == pytest.approx(0.562335, abs=1e-6)
    # a cap of log 3 / tanh(1) with products (cap, 0): logits (cap * tanh(1), 0) = (log 3, 0), so again (3/4, 1/4)
    cap = math.log(3.0) / math.tanh(1.0)
    hidden = torch.tensor([[cap]], requires_grad=True)
    logprobs, _ = token_logprobs(hidden, weight, torch.tensor([0]), logit_map=LogitMap(cap=cap))
    assert logprobs.item() == pytest.approx(math.log(3 / 4), abs=1e-6)
    logprobs.backward()
    assert hidden.grad.item() == pytest.approx((1 - 3 / 4) * (1 - math.tanh(1.0) ** 2), abs=1e-6)


@pytest.mark.parametrize("logit_map", [LogitMap(0.3), LogitMap(1.0, 2.0), LogitMap(0.3, 2.0)])
@pytest.mark.parametrize("temperature", [1.0, 0.7])
@pytest.mark.parametrize("with_entropy", [False, True])
def test_values_and_gradients_are_those_of_whole_logits_in_float64(logit_map, temperature, with_entropy):
    generator = torch.Generator().manual_seed(0)
    values = [torch.randn(size, generator=generator, dtype=torch.float64) * 2 for size in ((11, 8), (23, 8), (2, 11))]
    targets = torch.randint(23, (11,), generator=generator)

    def plain(hidden, weight):
        products = hidden @ weight.T * logit_map.scale
        logits = products if logit_map.cap is None else logit_map.cap * torch.tanh(products / logit_map.cap)
        logs = torch.log_softmax(logits / temperature, -1)
        return logs.gather(1, targets[:, None])[:, 0], -(logs.exp() * logs).sum(-1)

    def chunked(hidden, weight):
        return token_logprobs(
            hidden.float(), weight.float(), targets, temperature, chunk_elements=50, logit_map=logit_map
        )

    results = []
    for function in (plain, chunked):
        hidden, weight = (value.clone().requires_grad_() for value in values[:2])
        logprobs, entropies = function(hidden, weight)
        loss = (logprobs * values[2][0]).sum() + (entropies * values[2][1]).sum() * with_entropy
        loss.backward()
        results.append([value.detach().double() for value in (logprobs, entropies, hidden.grad, weight.grad)])
    for one, other in zip(*results, strict=True):
        assert torch.allclose(one, other, rtol=1e-4, atol=2e-5)


@pytest.mark.parametrize("name", FAMILIES)
def test_it_is_measured_for_every_family(name):
    assert read_logit_map(make_family(name)) == MAPS.get(name, LogitMap())


@pytest.mark.parametrize("scaling", [3.0, 1 / 0.7, 16.0])
@pytest.mark.parametrize("name, key", [("granite", "logits_scaling"), ("gemma3", "final_logit_softcapping")])
def test_scale_and_cap_are_measured_exactly(name, key, scaling):
    found = read_logit_map(make_family(name, **{key: scaling}))
    assert found == (LogitMap(1 / scaling) if name == "granite" else LogitMap(1.0, scaling))


def test_a_head_so_large_that_its_products_are_summed_in_another_order_is_understood():
    model = make_family("llama", vocab_size=4096, hidden_size=1024, head_dim=512, intermediate_size=64)
    assert read_logit_map(model) == LogitMap()


def test_a_model_in_training_stays_in_training():
    model = make_family("llama").train()
    with evaluating(model):
        assert not model.training and not torch.is_grad_enabled()
    assert model.training and torch.is_grad_enabled()


@pytest.mark.parametrize(
    "kind, reason", [("bias", "one weight without a bias"), ("cut", "more than"), ("moved", "else")]
)
def test_a_head_that_is_not_understood_is_refused(kind, reason):
    model = make_family("llama")
    if kind == "bias":
        model.lm_head = torch.nn.Linear(64, 97)
    forward = model.forward
    if kind == "cut":

        def other(**inputs):
            output = forward(**inputs)
            output.logits = output.logits[..., :90]
            return output

        model.forward = other
    if kind == "moved":
        model.lm_head.register_forward_pre_hook(lambda _, args: (args[0] / 2,))
    with pytest.raises(PolicyError, match=f"^models of the class LlamaForCausalLM are not trained: .*{reason}"):
        Scorer(model, 1.0, torch.float32, into_grad=True)


@pytest.mark.parametrize("name", FAMILIES)
def test_logprobs_and_gradients_of_every_family_are_those_of_its_own_logits(name, chat):
    """In float32, with the embedding's own scale and a head that is the embedding or its own."""
    batch, loss_function = make_batch(count=4), make_loss_function(LossSettings(0.2, 0.28))
    model = make_family(name, vocab_size=len(chat.tokenizer))
    policy = build_policy(model, chat.tokenizer, OptimizerSettings("adamw", 1e-2, max_grad_norm=0.0), temperature=0.8)
    found = policy.logprobs(batch)
    policy.update(batch, loss_function)
    own = make_family(name, vocab_size=len(chat.tokenizer))

    logits = own(input_ids=batch.token_ids, attention_mask=batch.attention.long(), use_cache=False).logits[:, :-1] / 0.8
    logs = torch.log_softmax(logits, -1)
    logprobs = logs.gather(2, batch.token_ids[:, 1:, None])[..., 0][batch.loss_mask[:, 1:]]
    entropies = -(logs.exp() * logs).sum(-1)[batch.loss_mask[:, 1:]]
    assert torch.allclose(found[batch.loss_mask], logprobs, atol=2e-5)
    loss_function(PolicyOutput(logprobs, entropies), batch)[0].backward()
    gradients = gradients_of(policy)
    trained = {parameter: value for parameter, value in own.named_parameters() if value.requires_grad}
    assert gradients.keys() == trained.keys()
    for parameter, value in trained.items():
        expected = value.grad if value.grad is not None else torch.zeros_like(value)
        assert torch.allclose(gradients[parameter], expected, rtol=1e-3, atol=1e-5), parameter
