"""What the gains over the reference show, in words made from them by rule."""

from mentor.reporting.read.records import Report
from mentor.reporting.tables.verdict import first_sentence, gain_table, lead, limits, paragraph
from tests.fixtures.report_records import make_method, make_pair

OOD = {"domain": "ood", "benchmark": "", "split": "mean of 4 splits", "seeds": (3, 3)}
MEANS = [
    make_method(name, share, n=800, seeds=[0, 1, 2], **{"domain": "ood", "benchmark": "", "split": "mean of 4 splits"})
    for name, share in (("base", 0.1), ("rl-sparse", 0.2), ("rl-flexible", 0.45), ("sft", 0.6), ("rl-strict", 0.2))
]
GAINS = [
    make_pair("rl-flexible", "rl-sparse", "better", **OOD),
    make_pair("sft", "rl-sparse", "better here", difference=0.4, low_holm=-0.2, high_holm=1.0, **OOD),
    make_pair("rl-strict", "rl-sparse", "not significant", difference=0.0, low_holm=-0.25, high_holm=0.25, **OOD),
    make_pair("base", "rl-sparse", "worse", difference=-0.1, **OOD),
]


def test_one_sentence_for_the_first_screen() -> None:
    assert lead(MEANS, GAINS, "sampled") == (
        "Out of domain (mean of 4 splits, sampled), over seeds rl-flexible is 25.0 points above rl-sparse, and base is "
        "10.0 points below rl-sparse; in the models trained here sft is 40.0 points above, and whether other seeds "
        "would show this is open; rl-strict is not told apart from rl-sparse."
    )
    report = Report("t", "r", [], [], [], means=MEANS, gains=GAINS)
    assert first_sentence(report) == lead(MEANS, GAINS, "sampled")
    assert lead(MEANS[:1], [], "sampled") == (
        "Out of domain (mean of 4 splits, sampled), base is right on 10.0 %, with nothing to compare it with."
    )
    assert lead(MEANS, GAINS[2:3], "sampled").endswith("sampled), rl-strict is not told apart from rl-sparse.")
    assert lead([], [], "", evaluated=False) == "No evaluation has an accuracy, so there is nothing to conclude."
    assert lead([], [], "").startswith("No split was answered by every method with all its seeds")


def test_the_furthest_comes_first_and_differences_of_these_models_are_no_more_than_that() -> None:
    near = make_pair("rl-flexible", "rl-sparse", "better here", difference=0.034, **OOD)
    far = make_pair("base", "rl-sparse", "worse here", difference=-0.1, **OOD)
    assert lead(MEANS, [near, GAINS[1], far], "sampled") == (
        "Out of domain (mean of 4 splits, sampled), no difference from rl-sparse holds over seeds; in the models "
        "trained here sft is 40.0 and rl-flexible 3.4 points above it, and base is 10.0 points below it, and whether "
        "other seeds would show this is open."
    )
    equal = [GAINS[2], make_pair("sft", "rl-sparse", "not significant", difference=0.01, **OOD)]
    assert lead(MEANS, equal, "sampled").endswith("sampled), sft and rl-strict are not told apart from rl-sparse.")
    many = [make_pair(f"rl-{n}", "rl-sparse", "not significant", **OOD) for n in range(5)]
    assert lead(MEANS, [GAINS[0], *many], "sampled").endswith("rl-sparse; 5 others are not told apart from rl-sparse.")


def test_a_paragraph_names_what_is_real_what_is_not_and_what_cannot_be_said() -> None:
    assert paragraph(MEANS, GAINS, "sampled", str.upper) == [
        "Out of domain, over seeds, against RL-SPARSE: RL-FLEXIBLE +25.0 [+6.2, +43.8] and BASE −10.0 [+6.2, +43.8].",
        "Out of domain, in these models only, against RL-SPARSE: SFT +40.0 [−20.0, +100.0].",
        "Out of domain, not told apart, against RL-SPARSE: RL-STRICT +0.0 [−25.0, +25.0].",
        "With 3 seeds their scatter counts 4.3 times before any adjustment, against 2.0 with many: a difference must "
        "be far larger than that scatter to hold over seeds.",
        "The intervals of 1 of 4 differences leave 0 in and reach more than 10 points to either side: a large "
        "difference may be missed there.",
    ]


def test_few_questions_and_single_seeds_are_warned_of() -> None:
    few = [make_method("x", n=8)]
    alone = make_pair("x", "base", "better here", over_seeds=False, seeds=(1, 1))
    said = limits(few, [alone], "sampled")
    assert said[0].startswith("8 questions are too few to tell much") and len(said) == 2
    assert said[1] == "Where a method has one seed, nothing is said about other seeds."
    many = make_pair("x", "base", "better", seeds=(6, 6))
    assert limits([make_method("x", n=200)], [many], "sampled") == []


def test_configurations_are_named_and_their_methods_are_not_named_twice() -> None:
    means = [
        make_method(f"{base} · {name}", base=f"{base} · pretrain")
        for base in ("shy", "capable")
        for name in ("rl-sparse", "rl-x")
    ]
    gain = make_pair("shy · rl-x", "shy · rl-sparse", "better")
    other = make_pair("capable · rl-x", "capable · rl-sparse", "worse", difference=-0.1)
    assert lead(means, [gain, other], "sampled") == (
        "In domain (test, sampled), with shy, over seeds rl-x is 25.0 points above rl-sparse. "
        "With capable, over seeds rl-x is 10.0 points below rl-sparse."
    )
    assert paragraph(means, [gain], "sampled")[0].startswith(
        "In domain, shy, over seeds, against rl-sparse: rl-x +25.0"
    )


def test_the_table_has_a_column_for_each_domain() -> None:
    inside = make_pair("sft", "rl-sparse", "better", by_seed=[0.2, 0.3])
    [table] = gain_table(Report("t", "r", [], [], [], means=MEANS, gains=[inside, *GAINS]))
    assert table.columns == ["gain", "In domain", "Out of domain"] and table.main
    assert [cell.text for cell in table.rows[0]] == [
        *("sft − rl-sparse", "+25.0 [+6.2, +43.8] ▲", "+40.0 [−20.0, +100.0] △"),
    ]
    assert table.rows[0][1].note == "p 0.0020; seeds +20.0, +30.0" and table.rows[1][1].text == "–"
    assert gain_table(Report("t", "r", [], [], [])) == []
