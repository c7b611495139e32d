"""What a point's process gets."""

from dataclasses import replace
from pathlib import Path

from mentor.sweeps.job import PointJob
from tests.fixtures.points import make_job


def test_a_job_survives_json(hydra_conf: None):
    point = replace(make_job("stage=rl", "reward=flexible", "seed=3"), overrides={"seed": 3}, shared=["pretrain-s3"])
    assert PointJob.from_json(point.to_json()) == point


def test_a_point_links_what_is_shared(tmp_path: Path, hydra_conf: None):
    point = replace(make_job("experiment=demo"), shared=["rollout"])
    (point.root / "rollout").mkdir(parents=True)
    point.folder.mkdir(parents=True)
    point.link_shared()
    point.link_shared()
    assert (point.folder / "rollout").resolve() == tmp_path / "outputs" / "demo" / "rollout"
