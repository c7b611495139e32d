"""The parts, their order, and the packages without which they do not run."""

from scripts.gpu_check.measuring import Size
from scripts.gpu_check.parts import Part, all_parts

SIZES = [Size(shape, 512, (128,), 1, 96) for shape in ("qwen3_0_6b", "qwen3_1_7b")]


def test_numbers_come_first_then_speed_then_what_needs_more_packages():
    parts = all_parts(SIZES)
    assert [part.name for part in parts[:5]] == [
        "chunked LM head against float64",
        "masks and attention kernels",
        "embedded sampler against policy",
        "packed against padded",
        "shared prefixes against rows apart",
    ]
    assert [part.name for part in parts[5:11]] == [
        f"updates of {shape}, {engine}"
        for shape in ("qwen3_0_6b", "qwen3_1_7b")
        for engine in ("torch", "deepspeed", "lora")
    ]
    assert [part.needs for part in parts[:6]] == [()] * 6
    assert all(part.needs for part in parts[11:]) and all(part.seconds <= 240 for part in parts)


def test_packages_that_are_not_installed_are_named():
    part = Part("p", lambda size, note: None, SIZES[0], 1, ("torch", "no_such_package"))
    assert part.missing == ["no_such_package"]
