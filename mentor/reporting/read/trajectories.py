"""Choose the trajectories that the page shows, evenly over all that a run stored, and read them.

They are those of RL training (`<rl folder>/trajectories/trajectories.jsonl`) and of evaluation (`items.jsonl`), also of
the points of sweeps. Models are asked the same questions in the same order, so the chosen ones of two models are on the
same questions, and the page shows them side by side. The files are read twice, to know what there is before choosing,
so that only the chosen ones are ever held.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import zip_longest
from pathlib import Path
from typing import Any, TypeVar

from mentor.errors import InputError
from mentor.jsonl import Record, read_jsonl
from mentor.reporting.read.records import setting_name
from mentor.trajectories.store import stored_trajectory
from mentor.trajectories.tool_sets import ToolSets
from mentor.types import Trajectory

T = TypeVar("T")
TRAINING = "*/trajectories/trajectories.jsonl"
EVALUATION = "eval/*/*/items.jsonl"
OF_A_POINT = f"sweeps/*/*/{EVALUATION}"
LEVELS = ("source", "group", "mode")  # what a choice is spread over, outermost first


@dataclass(frozen=True)
class Place:
    """Record `number` (from 1) of a file. `kind`: `training` or `evaluation`; `group`: the step or the split."""

    path: Path
    number: int
    kind: str
    model: str
    group: str
    mode: str

    @property
    def source(self) -> str:
        return f"{self.model}, {self.kind}"


@dataclass(frozen=True)
class Stored:
    """A chosen record, as it was stored and as a checked trajectory."""

    place: Place
    record: Record
    trajectory: Trajectory


@dataclass(frozen=True)
class Gathered:
    """`found`: how many trajectories the run holds. `chosen`: in an order of which every prefix is spread evenly.

    `teachers`: the teacher's trajectories by task id, of the tasks of the chosen ones.
    """

    found: int
    chosen: list[Stored]
    teachers: dict[str, Trajectory]
    missing: list[str]


def gather(root: Path, limit: int) -> Gathered:
    """Choose and read at most `limit` trajectories of the run folder `root`, the same ones every time.

    Raises InputError naming the record for one that is not a trajectory.
    """
    missing: list[str] = []
    places: list[Place] = []
    for path in sorted(root.glob(TRAINING)):
        name = path.parents[1].name
        places += [_training_place(path, n, record, name) for n, record in _numbered(path, missing)]
    of_points = list(root.glob(OF_A_POINT))
    several = len({path.parents[4] for path in of_points}) > 1
    for path in sorted([*root.glob(EVALUATION), *of_points]):
        places += [_evaluation_place(path, root, n, record, several) for n, record in _numbered(path, missing)]
    chosen = _read(spread_over(places, LEVELS)[:limit])
    wanted = {stored.trajectory.task.id for stored in chosen}
    return Gathered(len(places), chosen, _teachers(root, wanted, missing), missing)


def _numbered(path: Path, missing: list[str]) -> Iterable[tuple[int, Record]]:
    return enumerate(read_jsonl(path, missing.append), start=1)


def _training_place(path: Path, number: int, record: Record, name: str) -> Place:
    return Place(path, number, "training", name, f"step {_key(path, number, record, 'step')}", "sampled")


def _evaluation_place(path: Path, root: Path, number: int, record: Record, several: bool) -> Place:
    """several: whether the run has points of several sweeps, whose names may be the same."""
    benchmark, model, run = path.parent.name, path.parents[1].name, path.parents[3]
    if run != root:  # a point of a sweep
        model = f"{run.parent.name} {run.name} · {model}" if several else f"{run.name} · {model}"
    split = _key(path, number, _key(path, number, record, "task"), "split")
    mode = setting_name(_key(path, number, record, "mode"), record.get("with_tools"))
    return Place(path, number, "evaluation", model, f"{benchmark}/{split}", mode)


def _key(path: Path, number: int, record: Record, key: str) -> Any:
    if key not in record:
        raise InputError(f"{path}: record {number} is not a trajectory (no key {key!r})")
    return record[key]


def spread_over(places: Sequence[Place], levels: Sequence[str]) -> list[Place]:
    """Order the places so that every prefix takes about as many from each value of the first level, and within one
    value as many from each of the next level; below the last level they are spread over the file."""
    if not levels:
        return spread(places)
    parts: dict[str, list[Place]] = {}
    for place in places:
        parts.setdefault(getattr(place, levels[0]), []).append(place)
    return interleave([spread_over(parts[value], levels[1:]) for value in spread(list(parts))])


def spread(items: Sequence[T]) -> list[T]:
    """Order the items by their bit-reversed index (van der Corput): every prefix is spread over the whole."""
    width = max(1, (len(items) - 1).bit_length())
    order = sorted(range(len(items)), key=lambda place: f"{place:0{width}b}"[::-1])
    return [items[place] for place in order]


def interleave(parts: Iterable[Sequence[T]]) -> list[T]:
    """Take the first of each part, then the second of each, and so on."""
    ended = object()
    return [item for layer in zip_longest(*parts, fillvalue=ended) for item in layer if item is not ended]  # type: ignore[misc]


def _read(places: Sequence[Place]) -> list[Stored]:
    """The records at these places, in their order."""
    wanted: dict[Path, dict[int, Place]] = {}
    for place in places:
        wanted.setdefault(place.path, {})[place.number] = place
    found: dict[Place, Stored] = {}
    for path, numbers in wanted.items():
        tool_sets = ToolSets(path.parent)
        for number, record in _numbered(path, []):  # a half-written line was reported when the places were looked up
            if number in numbers:
                trajectory = stored_trajectory(record, f"{path}: record {number}", tool_sets, schemas=False)
                found[numbers[number]] = Stored(numbers[number], record, trajectory)
    return [found[place] for place in places]


def _teachers(root: Path, task_ids: set[str], missing: list[str]) -> dict[str, Trajectory]:
    path = root / "rollout" / "trajectories.jsonl"
    if not path.is_file() or not task_ids:
        return {}
    tool_sets = ToolSets(path.parent)
    return {
        record["task"]["id"]: stored_trajectory(record, f"{path}: record {number}", tool_sets, schemas=False)
        for number, record in _numbered(path, missing)
        if _key(path, number, _key(path, number, record, "task"), "id") in task_ids
    }
