import pytest

from mentor.errors import ConfigError
from mentor.rewards import load_preset
from mentor.rewards.weight_grid import grid_points


def test_points_are_all_combinations_over_the_preset():
    base, points = grid_points(
        load_preset("strict"), "strict", {"weights.tool": [0, 0.3], "gate": ["none", "group"], "wrong_scale": [1]}
    )
    assert base.values == {"weights.tool": 0.3, "gate": "none", "wrong_scale": 0.2}
    assert [list(point.values.values()) for point in points] == [
        [0, "none", 1], [0, "group", 1], [0.3, "none", 1], [0.3, "group", 1]
    ]  # fmt: skip
    settings = points[1].settings
    terms = settings["terms"]
    assert [term["weight"] for term in terms.values()] == [0.6, 0, 0.1] and terms["match"]["term"] == "sequence_args"
    assert base.settings["terms"]["match"]["weight"] == 0.3  # left as it was


@pytest.mark.parametrize(
    ("preset", "grid", "message"),
    [
        ("flexible", {"weights.tol": [0]}, "`stage.grid` has the key 'weights.tol'; accepted: weights.correct, "),
        ("flexible", {"weights": {"tool": [0]}}, "`stage.grid` has the key 'weights'"),
        ("flexible", {"weights.tool": []}, "`stage.grid` has weights.tool=\\[\\]; accepted: a list of one or more"),
        ("flexible", {"weights.tool": 0.1}, "`stage.grid` has weights.tool=0.1"),
        (
            "flexible",
            {"weights.tool": [-1]},
            "`stage.grid`: `reward.terms.match.weight=-1.0` is not accepted; accepted: 0 or more",
        ),
        (
            "flexible",
            {"gate": ["no"]},
            "`stage.grid`: `reward.terms.match.gate=no` is not accepted; accepted: none, outcome",
        ),
        ("flexible", {"matcher": ["mentor"]}, "`stage.grid`: `reward.terms.match.term=mentor` is not accepted"),
        ("flexible", [0.1], "`stage.grid=\\[0.1\\]` is not accepted"),
        ("flexible", {}, "`stage.grid={}` is not accepted"),
        (
            "released_f1",
            {"weights.tool": [0]},
            "released reward, which has no weights; accepted: flexible, flexible_f1, resu",
        ),
    ],
)
def test_what_is_not_accepted(preset, grid, message):
    with pytest.raises(ConfigError, match=message):
        grid_points(load_preset(preset), preset, grid)
