"""Attention over segments against attention of each row alone, and what its backward pass keeps."""

import pytest
import torch

from mentor.policy.attention import grouped_sdpa
from mentor.policy.prefix_attention import attend_to_segments, rows_at
from mentor.policy.prefixes import PrefixTree, sort_rows
from tests.fixtures.policies import make_tree_rows


def tree_of(seed, gather_again=True) -> PrefixTree:
    words = make_tree_rows(seed)
    ids = torch.nn.utils.rnn.pad_sequence([torch.tensor(word) for word in words], batch_first=True)
    return sort_rows(ids, torch.tensor([len(word) for word in words])).tree(gather_again)


def states_of(tree):
    generator = torch.Generator().manual_seed(0)
    shapes = [(1, heads, tree.size, 8) for heads in (4, 2, 2)]
    return [torch.randn(shape, generator=generator, dtype=torch.float64).requires_grad_() for shape in shapes]


@pytest.mark.parametrize("gather_again", [True, False])
@pytest.mark.parametrize("seed", range(3))
def test_every_row_attends_as_if_it_were_alone(seed, gather_again):
    tree = tree_of(seed, gather_again)
    segments = tree.attention_arguments(torch.device("cpu"))["segments"]
    query, key, value = states_of(tree)
    weights = torch.randn(1, tree.size, 4, 8, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    found = attend_to_segments(query, key, value, segments, 0.0, 0.3)
    gradients = torch.autograd.grad((found * weights).sum(), (query, key, value))
    total, seen = torch.zeros((), dtype=torch.float64), torch.zeros(tree.size, dtype=torch.bool)
    for segment in tree.segments:
        path = tree.paths[segment.row, : segment.end]
        row = [states[:, :, path] for states in (query, key, value)]
        alone, _ = grouped_sdpa(torch.nn.Module(), *row, None, scaling=0.3)
        assert torch.allclose(found[:, path], alone, rtol=0, atol=1e-12)
        own = path[segment.start :]
        assert not seen[own].any()
        seen[own] = True
        total = total + (alone[:, segment.start :] * weights[:, own]).sum()
    assert seen.all()
    for ours, theirs in zip(gradients, torch.autograd.grad(total, (query, key, value)), strict=True):
        assert torch.allclose(ours, theirs, rtol=0, atol=1e-12)


@pytest.mark.parametrize("gather_again", [True, False])
def test_keys_and_values_are_not_kept_for_every_segment(gather_again):
    tree = tree_of(0, gather_again)
    segments = tree.attention_arguments(torch.device("cpu"))["segments"]
    states = [each.float().detach().requires_grad_() for each in states_of(tree)]
    nodes, attending = [attend_to_segments(*states, segments, 0.0, None).grad_fn], []
    while nodes:
        node = nodes.pop()
        nodes += [after for after, _ in node.next_functions if after is not None]
        attending += [node] if hasattr(node, "_saved_key") else []
    assert len(attending) == len(segments.parts)
    for node in attending:
        for name in ("_saved_query", "_saved_key", "_saved_value"):
            one, other = getattr(node, name), getattr(node, name)
            assert torch.equal(one, other) and (one.data_ptr() == other.data_ptr()) == (not gather_again)


def test_gradients_of_repeated_places_add_up_the_same_every_time():
    states = torch.randn(50, 64, generator=torch.Generator().manual_seed(0)).requires_grad_()
    places = torch.randint(0, 50, (4000,), generator=torch.Generator().manual_seed(1))
    weights = torch.randn(4000, 64, generator=torch.Generator().manual_seed(2))
    gradients = [torch.autograd.grad((rows_at(states, places) * weights).sum(), states)[0] for _ in range(3)]
    expected = torch.zeros(50, 64, dtype=torch.float64).index_add_(0, places, weights.double())
    assert torch.equal(gradients[0], gradients[1]) and torch.equal(gradients[0], gradients[2])
    assert torch.allclose(gradients[0].double(), expected, atol=1e-4)
