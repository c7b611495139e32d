from mentor.environment import RolloutLimits, RolloutRequest, derive_seed
from mentor.types import Task


def test_a_seed_depends_on_each_of_its_parts_alone():
    """The first eight bytes of blake2b (8 bytes long) of the parts joined by slashes, without the lowest bit."""
    assert derive_seed(7, "tasks", 3) == 4335756889314256780
    assert 0 <= derive_seed(7, "tasks", 3) < 2**63
    assert derive_seed(1, 23) != derive_seed(12, 3)


def test_a_request_runs_its_calls_and_samples_at_temperature_1_unless_told_otherwise():
    request = RolloutRequest(Task("t", "q", ("1",), "calculator"), seed=3)
    assert (request.temperature, request.top_p, request.group_id) == (1.0, 1.0, None)
    assert RolloutLimits().max_result_tokens is None
