from mentor.policy.partition import balanced_partition


def test_the_longest_rows_go_to_the_rank_with_the_fewest_tokens():
    assert balanced_partition([5, 9, 4, 1], 2) == [[1, 3], [0, 2]]  # 9+1 and 5+4
    assert balanced_partition([5], 3) == [[0], [], []]
    assert balanced_partition([2, 7, 1], 1) == [[0, 1, 2]]
