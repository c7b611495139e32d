"""Arithmetic on sizes by name."""

from mentor.planning.terms import GIB, add, gib, larger, scaled


def test_bytes_become_gib_and_what_is_zero_is_left_out():
    assert gib({"weights": 3 * GIB, "moments": GIB / 2, "nothing": 0}) == {"weights": 3.0, "moments": 0.5}


def test_terms_of_one_name_are_added():
    assert add({"a": 1.0, "b": 2.0}, {"b": 0.5}, {}) == {"a": 1.0, "b": 2.5}


def test_the_larger_sum_wins_whatever_its_largest_term():
    assert larger({"a": 3.0}, {"b": 2.0, "c": 2.0}) == {"b": 2.0, "c": 2.0}


def test_scaled():
    assert scaled({"a": 3.0, "b": 1.0}, 0.5) == {"a": 1.5, "b": 0.5}
