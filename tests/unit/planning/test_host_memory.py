"""The machine's own memory."""

from dataclasses import replace

import pytest

from mentor.planning import make_plan
from tests.unit.planning.workloads import GPU, N, host


def test_host_memory_of_offload_and_of_the_start() -> None:
    plan = make_plan(replace(GPU, zero_stage=3, offload=True, num_processes=4))
    lasting = host(plan, "run")
    assert lasting["states"] == pytest.approx(12 * N) and lasting["gradients"] == pytest.approx(6 * N)
    assert lasting["weights"] == pytest.approx(2 * N) and lasting["reference"] == pytest.approx(2 * N)
    assert host(plan, "start")["weights being read"] == pytest.approx(4 * 2 * N)
    assert "states" not in host(make_plan(GPU), "run")
