"""Grouped attention gives what repeated keys and values give."""

import pytest
import torch

from mentor.errors import InputError, PolicyError
from mentor.policy.attention import GROUPED, choose_attention, grouped_sdpa, masked_attention, takes_lengths
from tests.fixtures.families import FAMILIES, make_family
from tests.fixtures.flash import NAME, attend_by_lengths


@pytest.mark.parametrize("masked", [False, True])
def test_groups_are_attended_as_if_keys_and_values_were_repeated(masked):
    generator = torch.Generator().manual_seed(0)
    query = torch.randn(2, 4, 5, 8, generator=generator)
    key, value = (torch.randn(2, 2, 5, 8, generator=generator) for _ in range(2))
    causal = torch.ones(5, 5, dtype=torch.bool).tril()
    mask = causal.expand(2, 1, 5, 5) if masked else None
    found, weights = grouped_sdpa(torch.nn.Module(), query, key, value, mask, scaling=0.3)
    repeated_key, repeated_value = (tensor.repeat_interleave(2, dim=1) for tensor in (key, value))
    scores = (query @ repeated_key.transpose(-1, -2) * 0.3).masked_fill(~causal, float("-inf"))
    expected = (scores.softmax(-1) @ repeated_value).transpose(1, 2)
    assert weights is None and found.shape == (2, 5, 4, 8) and torch.allclose(found, expected, atol=1e-5)


def test_a_single_query_sees_all_keys_without_a_mask():
    query, key, value = torch.randn(1, 2, 1, 4), torch.randn(1, 1, 3, 4), torch.randn(1, 1, 3, 4)
    found, _ = grouped_sdpa(torch.nn.Module(), query, key, value, None)
    scores = (query @ key.transpose(-1, -2) / 2).softmax(-1)
    assert torch.allclose(found, (scores @ value).transpose(1, 2), atol=1e-6) and GROUPED == "grouped_sdpa"


def test_attention_that_is_not_causal_sees_all_keys():
    query, key, value = (torch.randn(1, 1, 3, 4, generator=torch.Generator().manual_seed(i)) for i in range(3))
    found, _ = grouped_sdpa(torch.nn.Module(), query, key, value, None, is_causal=False)
    scores = (query @ key.transpose(-1, -2) / 2).softmax(-1)
    assert torch.allclose(found, (scores @ value).transpose(1, 2), atol=1e-6)


@pytest.mark.parametrize("name", ["softcap", "s_aux", "position_bias"])
def test_what_changes_the_scores_is_not_ignored(name):
    query = torch.randn(1, 1, 3, 4)
    with pytest.raises(PolicyError, match=f"^attention with {name} is not computed"):
        grouped_sdpa(torch.nn.Module(), query, query, query, None, **{name: torch.ones(1)})


@pytest.mark.parametrize("name", FAMILIES)
def test_attention_of_every_family_is_that_of_its_own_eager_code(name):
    """Sharp scores, so that caps on them count."""
    model = make_family(name)
    with torch.no_grad():
        for parameter, value in model.named_parameters():
            value.mul_(8.0 if "q_proj" in parameter or "k_proj" in parameter else 1.0)
        ids = torch.randint(3, 97, (2, 30), generator=torch.Generator().manual_seed(0))
        mask = torch.ones_like(ids)
        mask[1, 20:] = 0
        found = model(input_ids=ids, attention_mask=mask, use_cache=False).logits
        model.set_attn_implementation("eager")
        expected = model(input_ids=ids, attention_mask=mask, use_cache=False).logits
    assert torch.allclose(found[mask > 0], expected[mask > 0], atol=2e-5)
    if name == "gemma2":  # a cap on scores, which transformers' own choice, sdpa, leaves out
        model.set_attn_implementation("sdpa")
        with torch.no_grad():
            uncapped = model(input_ids=ids, attention_mask=mask, use_cache=False).logits
        assert not torch.allclose(uncapped[mask > 0], expected[mask > 0], atol=1e-3)


@pytest.mark.skipif(torch.cuda.is_available(), reason="there the kernels may be")
@pytest.mark.parametrize(
    ("family", "name", "reason"),
    [
        ("llama", "flash_attention_2", "FlashAttention2"),
        ("llama", "flash_attention_3", "FlashAttention3"),
        ("llama", "kernels-community/flash-attn2", "kernels"),
        ("llama", "fast", "is not supported"),
        ("gemma2", "sdpa", "leaves out this model's cap on attention scores; accepted: eager"),
        ("gpt_oss", "sdpa", "does not support"),
    ],
)
def test_attention_that_is_not_there_is_refused_in_one_line(family, name, reason):
    with pytest.raises(InputError) as refused:
        choose_attention(make_family(family), name)
    said = str(refused.value)
    assert said.startswith(f"model.attn_implementation={name} cannot be used here: ") and reason in said
    assert "\n" not in said


def test_attention_is_what_is_asked_for():
    model = make_family("llama")
    for name, found in (("eager", "eager"), ("sdpa", GROUPED), (None, GROUPED)):
        choose_attention(model, name)
        assert model.config._attn_implementation == found


def test_flash_attention_is_set_aside_for_a_mask_and_comes_back():
    model = attend_by_lengths(make_family("llama"))
    assert takes_lengths(model) and model.config._attn_implementation == NAME
    with masked_attention(model):
        assert model.config._attn_implementation == "sdpa" and not takes_lengths(model)
    assert takes_lengths(model)
