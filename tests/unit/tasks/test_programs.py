"""Calculator programs: results, signatures and other tool paths, by hand."""

from mentor.tasks.calculator import generate
from mentor.tasks.programs import (
    HELD_OUT_PAIRS,
    alternatives,
    bucket,
    evaluate,
    number_text,
    reference,
    resolve,
    signature,
    step,
    tidy,
    tool_pairs,
)


def test_hand_worked_program_signature_and_answer():
    program = [step("add", a=12, b=7), step("multiply", a=reference(0), b=3), step("divide", a=reference(1), b=2)]
    assert evaluate(program) == [19, 57, 28.5]
    assert signature(program) == "divide(product(3 sum(12 7)) 2)"
    added = [step("add", a=3, b=4), step("add", a=reference(0), b=5)]
    assert signature(added) == signature([step("sum_numbers", numbers=[5, 4, 3])])
    assert signature([step("power", base=6, exponent=2)]) == signature([step("multiply", a=6, b=6)])


def test_alternatives_by_hand():
    program = [step("power", base=3, exponent=3), step("add", a=reference(0), b=1), step("add", a=reference(1), b=2)]
    paths = alternatives(program)
    names = [[entry["name"] for entry in path] for path in paths]
    assert names == [
        ["multiply", "multiply", "add", "add"],
        ["power", "sum_numbers", "add"],
        ["power", "add", "sum_numbers"],
        ["power", "sum_numbers"],
    ]
    assert paths[0][1]["arguments"] == {"a": reference(0), "b": 3}
    assert paths[0][3]["arguments"] == {"a": reference(2), "b": 2}
    assert paths[3][1]["arguments"] == {"numbers": [reference(0), 1, 2]}


def test_alternatives_keep_the_answer_and_the_held_out_pairs_out():
    tasks = generate("train", 300, 3, 0)
    for task in tasks:
        for path in alternatives(task.source["program"]):
            assert evaluate(path)[-1] == evaluate(task.source["program"])[-1]
            assert path != task.source["program"] and not tool_pairs(path) & HELD_OUT_PAIRS
    assert sum(bool(alternatives(task.source["program"])) for task in tasks) > len(tasks) / 2


def test_numbers_and_references():
    assert [tidy(3.0), tidy(2.5), number_text(-4.0), number_text(2.75)] == [3, 2.5, "-4", "2.75"]
    assert resolve([1, reference(0), {"$step": 1, "x": 2}], [7]) == [1, 7, {"$step": 1, "x": 2}]


def test_a_bucket_depends_on_the_signature_alone():
    """blake2b of "sum(2 3)" with 8 bytes of digest, as a big-endian number."""
    two = [step("add", a=2, b=3)], [step("sum_numbers", numbers=[3, 2])]
    assert [bucket(program, 2**64) for program in two] == [4657400100095012578] * 2
