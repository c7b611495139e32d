"""What a sweep and its points are called."""

from pathlib import Path

from mentor.sweeps.names import point_name, sweep_id, tracker_names


def test_wandb_tells_points_apart():
    assert tracker_names(Path("outputs/demo/rl-flexible-s0"), "demo") == ("rl-flexible-s0", "demo")
    point = Path("outputs/demo/sweeps/12345678/seed=1/rl-flexible-s1")
    assert tracker_names(point, "demo") == ("seed=1 rl-flexible-s1", "demo sweeps/12345678")
    assert tracker_names(Path("rl"), "demo") == ("rl", "demo")


def test_point_names_are_folder_names_and_stay_apart():
    assert point_name("reward.weights.tool=0.1,seed=0", 4) == "reward.weights.tool=0.1,seed=0"
    assert point_name("", 4) == "point-4"
    odd = [point_name(text, 0) for text in ("init=/a/b", "init=/a_b", "init=" + "x" * 200, "init=" + "x" * 201)]
    assert len(set(odd)) == 4
    assert all("/" not in name and len(name) < 140 for name in odd)


def test_sweep_id_does_not_depend_on_order():
    assert sweep_id(["stage=rl", "seed=0,1"]) == sweep_id(["seed=0,1", "stage=rl"])
    assert sweep_id(["stage=rl", "seed=0,1"]) != sweep_id(["stage=rl", "seed=0,2"])
