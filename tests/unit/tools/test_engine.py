"""Limits of calls, and how they end."""

import pytest

from mentor.errors import ConfigError
from mentor.tools.engine import ISOLATION, CallOutcome, Limits, cut
from mentor.types import CallError


def test_isolation_levels_from_the_weakest():
    assert ISOLATION == ("process", "rlimits", "landlock+seccomp", "namespaces", "interpreter")


@pytest.mark.parametrize("key", ["timeout_s", "memory_mib", "workers", "max_output_chars"])
def test_limits_are_positive(key):
    with pytest.raises(ConfigError, match=rf"^tools\.{key}=0 is not accepted: it must be above 0$"):
        Limits(**{key: 0})


def test_the_floor_is_a_level():
    assert Limits(isolation_floor="process").isolation_floor == "process"
    with pytest.raises(ConfigError, match=r"^tools\.isolation_floor=none is not accepted: process, rlimits, "):
        Limits(isolation_floor="none")


def test_a_limit_leaves_a_sandbox_in_doubt_and_an_exception_does_not():
    clean = {error: CallOutcome(error, "").clean for error in (None, *CallError)}
    assert [error for error, sound in clean.items() if sound] == [None, CallError.EXCEPTION]


def test_results_are_cut_with_a_mark():
    assert cut("abc", 3) == "abc" and cut("abcd", 3) == "abc ...[cut, 4 characters]"
