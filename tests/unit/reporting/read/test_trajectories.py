"""Which stored trajectories the page shows, and how they are read."""

from collections import Counter
from pathlib import Path

import pytest

from mentor.errors import InputError
from mentor.reporting.read.trajectories import gather, interleave, spread
from tests.fixtures.run_folder import evaluation_record, make_trajectory, training_record, write_lines


def make_run(root: Path) -> Path:
    """600 records of RL over three steps, and of two evaluated models 40 and 4 over two splits and modes."""
    steps = [training_record(make_trajectory(f"t{n}"), step=5 * (1 + n // 200)) for n in range(600)]
    write_lines(root / "rl-a-s0/trajectories/trajectories.jsonl", steps)
    for model, each in (("m", 10), ("few", 1)):
        items = [
            evaluation_record(make_trajectory(f"{split}{n}", split=split), mode)
            for mode in ("greedy", "sampled")
            for split in ("test", "long")
            for n in range(each)
        ]
        write_lines(root / f"eval/{model}/calc/items.jsonl", items)
    write_lines(root / "rollout/trajectories.jsonl", [make_trajectory(f"t{n}").to_dict() for n in range(600)])
    return root


def test_the_beginning_of_a_spread_is_spread() -> None:
    assert spread(list(range(8))) == [0, 4, 2, 6, 1, 5, 3, 7]
    assert spread(list(range(5)))[:2] == [0, 4] and sorted(spread(list(range(5)))) == [0, 1, 2, 3, 4]
    assert spread([7]) == [7] and spread([]) == []
    assert interleave([[1, 2, 3], [], [4]]) == [1, 4, 2, 3]


def test_a_choice_is_even_over_sources_then_groups_then_modes(tmp_path: Path) -> None:
    gathered = gather(make_run(tmp_path), 64)
    assert (gathered.found, len(gathered.chosen)) == (644, 64)
    places = [stored.place for stored in gathered.chosen]
    assert Counter(place.source for place in places) == {
        "few, evaluation": 4,  # all there are
        "m, evaluation": 30,
        "rl-a-s0, training": 30,
    }
    assert Counter(p.group for p in places if p.kind == "training") == {"step 5": 10, "step 10": 10, "step 15": 10}
    cells = Counter((p.group, p.mode) for p in places if p.model == "m")
    assert set(cells.values()) <= {7, 8} and len(cells) == 4
    numbers = sorted(p.number for p in places if p.group == "step 5")
    assert numbers[0] == 1 and numbers[-1] > 150, "over the whole file"
    assert places == [stored.place for stored in gather(tmp_path, 64).chosen], "the same ones every time"
    assert [s.place for s in gather(tmp_path, 20).chosen] == places[:20]


def test_teachers_are_those_of_the_chosen_tasks(tmp_path: Path) -> None:
    gathered = gather(make_run(tmp_path), 12)
    trained = {s.trajectory.task.id for s in gathered.chosen if s.place.kind == "training"}
    assert set(gathered.teachers) == trained and trained


def test_models_are_shown_on_the_same_questions_and_points_of_sweeps_too(tmp_path: Path) -> None:
    for folder in ("eval/a", "eval/b", "sweeps/s/seed=1/eval/b"):
        items = [evaluation_record(make_trajectory(f"t{n}", split="test")) for n in range(40)]
        write_lines(tmp_path / folder / "calc/items.jsonl", items)
    chosen = gather(tmp_path, 12).chosen
    tasks: dict[str, set[str]] = {}
    for stored in chosen:
        tasks.setdefault(stored.place.model, set()).add(stored.trajectory.task.id)
    assert set(tasks) == {"a", "b", "seed=1 · b"} and tasks["a"] == tasks["b"] == tasks["seed=1 · b"]
    assert len(tasks["a"]) == 4


def test_nothing_stored_and_nothing_asked_for(tmp_path: Path) -> None:
    assert gather(tmp_path, 10).found == 0
    gathered = gather(make_run(tmp_path), 0)
    assert (gathered.found, gathered.chosen, gathered.teachers) == (644, [], {})


def test_a_record_that_is_no_trajectory_is_named(tmp_path: Path) -> None:
    path = make_run(tmp_path) / "rl-a-s0/trajectories/trajectories.jsonl"
    good = path.read_text()
    path.write_text(good + '{"task": {}}\n')
    with pytest.raises(InputError, match=r"trajectories\.jsonl: record 601 is not a trajectory \(no key 'step'\)"):
        gather(tmp_path, 10)
    path.write_text(good + '{"step": 20, "schema": 9}\n')
    with pytest.raises(InputError, match=r"record 601 is not a trajectory \(trajectory schema 9"):
        gather(tmp_path, 10)
    path.write_text(good + '{"step": 20, "ta')
    gathered = gather(tmp_path, 10)
    assert gathered.found == 644 and "half-written" in gathered.missing[0]
