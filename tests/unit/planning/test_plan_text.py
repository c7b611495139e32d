"""The plan as text."""

from dataclasses import replace

from mentor.planning import Device, make_plan
from mentor.planning.plan_text import refusal, table
from tests.unit.planning.workloads import GPU


def test_the_table_has_a_line_for_each_phase_and_a_refusal_is_one_line() -> None:
    workload = replace(GPU, device=Device(4.0, host_gib=64.0), sampler="vllm", max_tokens=1000)
    plan = make_plan(workload)
    lines = table(plan).splitlines()
    assert len(lines) == 1 + len(plan.phases) and lines[1].startswith("GPU           start")
    assert "moments 1.8" in lines[2] and "64.0" in lines[-1]
    text = refusal(workload, plan.worst, ["a=1", "b=2"])
    assert text.startswith("backward needs ") and "3.8 of 4.0 are available (6% stay free); this fits: a=1 b=2" in text
    assert "no other setting fits" in refusal(workload, plan.worst, None)
    small = replace(workload, gpu_memory_share=0.1)
    share = next(phase for phase in make_plan(small).misfits if phase.memory == "vLLM's share")
    assert "`sampler.gpu_memory_share=0.1` of 4.0 GiB is 0.4" in refusal(small, share, None)
