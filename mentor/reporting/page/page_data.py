"""The chosen trajectories as the JSON that the page embeds, within a budget of bytes.

What trajectories share is stored once: token texts per tokenizer, the start of the prompt per source, the teacher's
trajectory per task.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from os.path import commonprefix
from pathlib import Path
from typing import Any

from tokenizers import Tokenizer

from mentor.reporting.page.token_text import token_texts
from mentor.reporting.page.turns import reference_turns, turns_of
from mentor.reporting.read.summaries import finite
from mentor.reporting.read.trajectories import Gathered, Place, Stored
from mentor.types import RewardBreakdown, Tokens, Trajectory

FindTokenizer = Callable[[Place], Path | None]


@dataclass(frozen=True)
class Embedded:
    """`json`: safe inside a script element, None without trajectories. `shown` of `found` are in it, `asked` were
    to be."""

    json: str | None
    shown: int
    found: int
    asked: int


def embed(gathered: Gathered, find_tokenizer: FindTokenizer, budget: int) -> Embedded:
    """Embed as many of the chosen trajectories, from the first on, as fit into `budget` bytes of UTF-8.

    find_tokenizer: the tokenizer.json behind a trajectory; None shows the ids of its tokens.
    """
    sources = _sources(gathered.chosen, find_tokenizer)
    prefixes = {name: source["prefix"] for name, source in sources["sources"].items()}
    shared = script_json(sources)
    left = budget - len(shared.encode()) - len('{"shared":,"teachers":{},"entries":[]}')
    entries: list[tuple[Place, str]] = []
    teachers: dict[str, str] = {}
    for stored in gathered.chosen:
        teacher = _teacher(stored.trajectory, gathered.teachers)
        added = {}
        if teacher is not None and (key := script_json(teacher.task.id)) not in teachers:
            added = {key: script_json(turns_of(teacher))}
        entry = script_json(_entry(stored, len(prefixes[stored.place.source]), teacher is not None))
        left -= len(entry.encode()) + 1 + sum(len((key + text).encode()) + 2 for key, text in added.items())
        if left < 0:
            break
        entries.append((stored.place, entry))
        teachers |= added
    entries.sort(key=lambda item: (item[0].kind == "evaluation", str(item[0].path), item[0].number))
    if not entries:
        return Embedded(None, 0, gathered.found, len(gathered.chosen))
    listed = ",".join(entry for _, entry in entries)
    taught = ",".join(f"{key}:{text}" for key, text in teachers.items())
    text = f'{{"shared":{shared},"teachers":{{{taught}}},"entries":[{listed}]}}'
    return Embedded(text, len(entries), gathered.found, len(gathered.chosen))


def script_json(value: Any) -> str:
    """Serialise to JSON that is safe inside a script element: `<` and lone surrogates are escaped."""
    text = json.dumps(value, ensure_ascii=False, separators=(",", ":"), allow_nan=False).replace("<", "\\u003c")
    return text.encode("utf-8", errors="backslashreplace").decode()


def _sources(chosen: Sequence[Stored], find_tokenizer: FindTokenizer) -> dict[str, Any]:
    """Token texts by tokenizer, and which of them and which start of the prompt each source has."""
    ids: dict[str, list[list[int]]] = {}
    files: dict[str, Path | None] = {}
    for stored in chosen:
        source = stored.place.source
        if source not in files:
            files[source] = find_tokenizer(stored.place)
        ids.setdefault(source, []).append(_token_ids(stored.trajectory.tokens))
    contents = {path: path.read_bytes() for path in files.values() if path is not None}
    tokenizers = list(dict.fromkeys(contents.values()))  # a model and its base have the same one, most often
    used: list[set[int]] = [set() for _ in tokenizers]
    sources: dict[str, Any] = {}
    for source, path in files.items():
        place = None if path is None else tokenizers.index(contents[path])
        if place is not None:
            used[place].update(token for sequence in ids[source] for token in sequence)
        sources[source] = {"tokenizer": place, "prefix": list(commonprefix(ids[source]))}
    tables = [token_texts(Tokenizer.from_buffer(t), u) for t, u in zip(tokenizers, used, strict=True)]
    return {"tokenizers": tables, "sources": sources}


def _token_ids(tokens: Tokens | None) -> list[int]:
    return [] if tokens is None else tokens.token_ids


def _teacher(trajectory: Trajectory, teachers: Mapping[str, Trajectory]) -> Trajectory | None:
    """The teacher's trajectory of the same task; ids of another data set may be alike, so the question decides."""
    found = teachers.get(trajectory.task.id)
    return found if found is not None and found.task.question == trajectory.task.question else None


def _entry(stored: Stored, prefix: int, taught: bool) -> dict[str, Any]:
    """What the page shows of one trajectory. taught: its teacher's is among `teachers`, under the task's id."""
    place, record, trajectory = stored.place, stored.record, stored.trajectory
    tokens = trajectory.tokens
    return {
        "source": place.source,
        "group": place.group,
        "mode": place.mode,
        "verdict": verdict(record),
        "stop": trajectory.stop_reason.value,
        "task": trajectory.task.id,
        "question": trajectory.task.question,
        "answers": list(trajectory.task.answer),
        "turns": turns_of(trajectory),
        "teacher": "stored" if taught else reference_turns(trajectory.task),
        "reward": _reward(record),
        "tokens": None if tokens is None else _tokens(tokens, prefix, record.get("distilled")),
    }


def _tokens(tokens: Tokens, prefix: int, distilled: list[float] | None) -> dict[str, Any]:
    """ids: without the source's prefix. starts: where further segments begin in all ids. distilled: advantage that each
    token of the loss mask has from a teacher; null without one.
    """
    ids, starts = tokens.token_ids[prefix:], tokens.starts[1:]
    return {"ids": ids, "runs": runs(tokens.loss_mask), "starts": starts, "distilled": distilled}


def _reward(record: Mapping[str, Any]) -> dict[str, Any] | None:
    """Total, unweighted terms, weighted parts and the advantage with its parts by name; None in evaluation.

    turn_advantages: null where turns have none of their own.
    """
    if "reward" not in record:
        return None
    kept = {key: record.get(key) for key in ("advantage", "advantage_parts", "turn_advantages", "group_kind")}
    reward: dict[str, Any] = finite({"terms": {}, "parts": {}, **record["reward"], **kept})
    return reward


def verdict(record: Mapping[str, Any]) -> str:
    """Return `correct`, `wrong` or `ungraded` for a record of training or of evaluation."""
    if "reward" in record:
        reward = record["reward"]
        correct = RewardBreakdown(reward["total"], reward["terms"]).correct
    else:
        correct = record.get("correct")
    return "ungraded" if correct is None else "correct" if correct == 1 else "wrong"


def runs(mask: Sequence[bool]) -> list[int]:
    """Run-length encode the mask; the first run is of False (0 where the mask begins with True)."""
    lengths = [0]
    value = False
    for bit in mask:
        if bit != value:
            lengths.append(0)
            value = not value
        lengths[-1] += 1
    return lengths
