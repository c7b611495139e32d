"""Sorted rows and the trees of their common prefixes: by hand, and in every split of random ones."""

import pytest
import torch

from mentor.policy.prefixes import SHORTEST, Segment, build_tree, sort_rows
from tests.fixtures.policies import make_tree_rows


def padded(words):
    lengths = torch.tensor([len(word) for word in words])
    ids = torch.zeros(len(words), int(lengths.max()), dtype=torch.long)
    for row, word in enumerate(words):
        ids[row, : len(word)] = torch.tensor(word)
    return ids, lengths


def test_rows_are_sorted_by_hand():
    ids, lengths = padded([[5, 6, 7], [5, 6], [4], [5, 6, 7, 8], [5, 6, 7]])
    rows = sort_rows(ids, lengths)
    assert rows.rows.tolist() == [2, 1, 0, 4, 3] and rows.lengths.tolist() == [1, 2, 3, 3, 4]
    assert rows.shared.tolist() == [0, 0, 2, 3, 3]


def test_padding_is_no_common_prefix():
    ids, lengths = padded([[0, 0], [0, 0, 0, 0]])  # the padding's id is a token as well
    assert sort_rows(ids, lengths).shared.tolist() == [0, 2]


def test_a_tree_by_hand():
    # two groups with 10 tokens in common, of which one shares 12 more; the other's 3 more are too few
    tree = build_tree([30, 25, 14, 20], [0, 22, 10, 13])
    assert tree.segments == [
        Segment(0, 0, 10),
        Segment(0, 10, 22),
        Segment(0, 22, 30),
        Segment(1, 22, 25),
        Segment(2, 10, 14),
        Segment(3, 10, 20),
    ]
    assert tree.size == 10 + 12 + 8 + 3 + 4 + 10
    assert tree.paths[0, :30].tolist() == list(range(30))
    assert tree.paths[1, :25].tolist() == [*range(22), 30, 31, 32]
    assert tree.paths[2, :14].tolist() == [*range(10), *range(33, 37)]
    assert tree.paths[3, :20].tolist() == [*range(10), *range(37, 47)]


def test_equal_rows_and_the_prefix_of_another_are_computed_once():
    tree = build_tree([20, 20, 25], [0, 20, 20])
    assert tree.segments == [Segment(0, 0, 20), Segment(2, 20, 25)] and tree.size == 25
    assert torch.equal(tree.paths[0, :20], tree.paths[1, :20])


@pytest.mark.parametrize("seed", range(4))
def test_every_token_lies_where_its_row_says_and_nothing_else_lies_there(seed):
    ids, lengths = padded(make_tree_rows(seed))
    rows = sort_rows(ids, lengths)
    words = ids[rows.rows], (torch.arange(ids.shape[1]) < rows.lengths[:, None])
    tree = rows.tree(gather_again=True)
    packed, positions = tree.pack(*words)
    columns = torch.arange(ids.shape[1]).expand_as(ids)
    assert torch.equal(packed[0][tree.paths[words[1]]], words[0][words[1]])
    assert torch.equal(positions[0][tree.paths[words[1]]], columns[words[1]])
    assert torch.equal(tree.index(columns), tree.paths)
    assert sorted(set(tree.paths[words[1]].tolist())) == list(range(tree.size)) and tree.size <= int(rows.added.sum())
    for part in tree.attention_arguments(torch.device("cpu"))["segments"].parts:
        assert part.mask is None or part.mask.shape == (len(part.queries), 1, part.queries.shape[1], part.keys.shape[1])


@pytest.mark.parametrize("budget", [1, 60, 200, 10_000])
def test_every_row_is_in_one_micro_batch_within_the_budget(budget):
    ids, lengths = padded(make_tree_rows(0))
    rows, seen = sort_rows(ids, lengths), []
    for part in rows.micro_batches(budget):
        assert part.tree(True).size <= budget or len(part.rows) == 1
        seen += part.rows.tolist()
    assert seen == rows.rows.tolist()


def test_a_group_that_does_not_fit_begins_a_micro_batch():
    # three groups of two with 20 tokens in common: 30 and 10 more. Five rows would fit, four are two whole groups.
    words = [[group] * 20 + [100 + 10 * group + member] * 10 for group in range(3) for member in range(2)]
    rows = sort_rows(*padded(words))
    assert rows.added.tolist() == [30, 30 - 20 + SHORTEST - 1] * 3
    assert [part.rows.tolist() for part in rows.micro_batches(130)] == [[0, 1, 2, 3], [4, 5]]


@pytest.mark.parametrize("ranks", [1, 2, 3, 8, 40])
def test_ranks_get_rows_that_follow_each_other_and_much_the_same_tokens(ranks):
    ids, lengths = padded(make_tree_rows(1))
    rows = sort_rows(ids, lengths)
    shares = list(rows.over_ranks(ranks))
    assert torch.equal(torch.cat([share.rows for share in shares]), rows.rows) and len(shares) == ranks
    most = max(int(share.added.sum()) for share in shares)
    assert most <= int(rows.added.sum()) / ranks + 2 * int(lengths.max())


def test_two_ranks_get_whole_groups():
    words = [
        [group] * 50 + [100 + member] * 5 for group, members in enumerate((3, 4, 3, 4)) for member in range(members)
    ]
    shares = sort_rows(*padded(words)).over_ranks(2)
    assert [share.rows.tolist() for share in shares] == [list(range(7)), list(range(7, 14))]
