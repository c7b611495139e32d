import pytest

from mentor.errors import ConfigError
from mentor.rewards.weight_grid import grid_points


def test_points_are_all_combinations_over_the_preset():
    base, points = grid_points("strict", {"weights.tool": [0, 0.3], "gate": ["none", "group"], "wrong_scale": [1]})
    assert base.values == {"weights.tool": 0.3, "gate": "none", "wrong_scale": 0.2}
    assert [list(point.values.values()) for point in points] == [
        [0, "none", 1], [0, "group", 1], [0.3, "none", 1], [0.3, "group", 1]
    ]  # fmt: skip
    settings = points[1].settings
    assert settings["weights"] == {"correct": 0.6, "tool": 0, "valid": 0.1} and settings["matcher"] == "sequence_args"
    assert base.settings["weights"]["tool"] == 0.3  # left as it was


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
            "`stage.grid`: reward.weights.tool=-1 is not accepted, accepted: a number",
        ),
        ("flexible", {"gate": ["no"]}, "`stage.grid`: reward.gate='no' is not accepted, accepted: none, outcome"),
        ("flexible", {"matcher": ["mentor"]}, "`stage.grid`: reward.matcher='mentor'"),
        ("flexible", [0.1], "`stage.grid=\\[0.1\\]` is not accepted"),
        ("flexible", {}, "`stage.grid={}` is not accepted"),
        ("released_f1", {"weights.tool": [0]}, "released reward, which has no weights; accepted: flexible, resu"),
    ],
)
def test_what_is_not_accepted(preset, grid, message):
    with pytest.raises(ConfigError, match=message):
        grid_points(preset, grid)
