"""Cost and provenance of stage folders and of methods."""

from mentor.reporting.read.records import Parity, Report
from mentor.reporting.tables.stages import (
    cost_table,
    method_cost_table,
    parity_table,
    provenance_table,
    short_commit,
    spent_seconds,
    started_at,
    tokens_per_correct,
    versions_table,
)
from tests.fixtures.report_records import make_method, make_result, make_stage


def texts(cells: list) -> list[str]:
    return [cell.text for cell in cells]


def report_of(*stages, **changes) -> Report:
    return Report("t", "r", list(stages), [], [], **changes)


def test_costs_of_stages_and_their_sums() -> None:
    rl = make_stage(
        *("rl-x-s0",),
        **{"steps": 3, "updates": 6, "sampled_tokens": 1200, "correct": 40, "seconds": {"rollout": 2.0, "total": 5.0}},
    )
    table = cost_table(report_of(rl, make_stage("rollout", "rollout", seconds={"solve": 1.5})))
    assert texts(table.rows[0]) == ["rl-x-s0", "done", "3", "6", "1,200", "–", "30", "–", "5.0", "rollout 2.0"]
    assert texts(table.rows[-1]) == ["all", "–", "3", "6", "1,200", "–", "–", "–", "6.5", "–"]
    assert spent_seconds(make_stage("f")) is None
    assert tokens_per_correct(100, 0) is tokens_per_correct(None, 5) is None


def test_costs_of_a_method_are_means_over_its_seeds() -> None:
    taught = make_stage("rl-x-s0", counts={"teacher_tokens": 5000})
    [row] = method_cost_table(report_of(taught, methods=[make_method("rl-x", models=["rl-x-s0"])])).rows
    assert texts(row)[5] == "5,000"
    seeds = [make_stage(f"rl-x-s{seed}", updates=2 + seed, sampled_tokens=100, correct=5) for seed in (0, 2)]
    method = make_method("rl-x", models=["rl-x-s0", "rl-x-s2"])
    answers = [make_result(model, sampled_tokens=30, correct=1) for model in method.models]
    report = Report("t", "r", seeds, answers, [], methods=[method])
    [row] = method_cost_table(report).rows
    assert texts(row) == ["rl-x", "2", "3", "100", "–", "–", "–", "20", "30"]


def test_provenance_and_versions() -> None:
    assert short_commit("0123456789abcdef") == "0123456789ab" and short_commit(None) == "–"
    assert started_at(86400.0) == "1970-01-02 00:00:00"
    [row] = provenance_table(report_of(make_stage("rl-x-s0", seed=None))).rows
    assert texts(row) == ["rl-x-s0", "–", "c0ffee", "–", "0123456789ab-dirty", "1970-01-02 00:00:00"]
    chain = [
        make_stage("pretrain-s0", "pretrain"),
        make_stage("sft-s0", "sft", counts={"base": "outputs/r/pretrain-s0/model"}),
        make_stage("rl-opd-s0", counts={"base": "outputs/r/sft-s0/model"}),
        make_stage("rl-after-s0", counts={"base": "outputs/r/rl-opd-s0/model"}),
    ]
    assert [texts(row)[1] for row in provenance_table(report_of(*chain)).rows] == [
        *("–", "pretrain-s0", "pretrain-s0 > sft-s0", "pretrain-s0 > sft-s0 > rl-opd-s0")
    ]
    one, other = make_stage("a"), make_stage("b", versions={})
    assert [texts(row) for row in versions_table(report_of(one)).rows] == [["all", "torch 2.13.0"]]
    assert [texts(row) for row in versions_table(report_of(one, other)).rows] == [["a", "torch 2.13.0"], ["b", "–"]]


def test_parity_names_the_models_that_were_not_tried_and_those_of_other_weights():
    record = Parity("sft-s0", False, False, ["eval, t0: result 1 is '95.0', in training '95'"], {"eval": 8}, 1e-7, None)
    report = report_of(make_stage("pretrain-s0", "pretrain"), make_stage("sft-s0", "sft"), parity=[record])
    untried, tried = parity_table(report).rows
    assert texts(untried) == ["pretrain-s0", "not tried", "–", "–", "–"]
    assert texts(tried) == ["sft-s0", "differs, with other weights", "8", "1e-07", "–"]
    assert tried[1].note.startswith("eval, t0")
