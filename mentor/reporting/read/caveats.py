"""Caveats a reader needs before the numbers: those of every run, and those that follow from what this run holds."""

from __future__ import annotations

from collections.abc import Sequence

from mentor.reporting.read.records import EvalResult, StageRecord

ALWAYS = [
    "Intervals and tests of a method with several seeds are about other seeds and questions; with one seed they are "
    "about this model on other questions. How much a number moves between checkpoints of one training is in neither.",
    "A gain of RL over its base can be elicitation of what the base already does at times; compare with SFT on the "
    "same teacher trajectories before crediting a reward.",
]

ALARMS = {
    "alarm/all_fail": "most of the advantage came from groups without a correct answer, so the student mostly learned "
    "the other terms of the reward",
    "alarm/zero_variance": "most groups had equal rewards and so no advantage",
    "alarm/canary": "rollout engine and policy differed several times as much as after the first weight push, although "
    "all weights had arrived",
}
"""What each alarm that an RL stage counts in `counts.alarms` says about the steps before it."""


def caveats(stages: Sequence[StageRecord], results: Sequence[EvalResult]) -> list[str]:
    """List the caveats that follow from what the run holds."""
    found = []
    seeds: dict[str, set[int | None]] = {}
    for record in stages:
        if record.stage in ("sft", "rl"):
            seeds.setdefault(record.folder.rsplit("-s", 1)[0], set()).add(record.seed)
    single = sorted(name for name, values in seeds.items() if len(values) == 1)
    if single:
        found.append(f"One training seed only for {', '.join(single)}: no ranking of these follows from this run.")
    found += [line for record in stages for line in _alarms(record)]
    commits = {record.git_commit for record in stages if record.git_commit}
    if len(commits) > 1:
        found.append(f"The stages ran at {len(commits)} different commits (see provenance).")
    if any(commit.endswith("-dirty") for commit in commits):
        found.append("Code with uncommitted changes ran here (`-dirty` in provenance): no commit holds it.")
    if results and not any(result.domain == "ood" for result in results):
        found.append("No out-of-domain split was evaluated.")
    return found


def _alarms(record: StageRecord) -> list[str]:
    """Write one sentence per alarm that was on in a stage."""
    return [
        f"{record.folder}: an alarm was on in {steps} {'step' if steps == 1 else 'steps'} ({name})"
        + (f": {ALARMS[name]}." if name in ALARMS else ".")
        for name, steps in (record.counts.get("alarms") or {}).items()
        if steps > 0
    ]
