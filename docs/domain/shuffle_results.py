"""Write a teacher's trajectories as logs in which every call has the result of another call of the same tool.

`python docs/domain/shuffle_results.py ROLLOUT LOGS` reads the folder of a rollout. A student that learns as much from
these logs as from the real ones did not learn to use what its tools return.
"""

from __future__ import annotations

import json
import random
import sys
from pathlib import Path
from typing import Any


def main(rollout: str, logs: str) -> None:
    """Shuffle the results of each tool over all trajectories, with a fixed seed."""
    trajectories = [json.loads(line) for line in (Path(rollout) / "trajectories.jsonl").read_text().splitlines()]
    listed = [json.loads(line) for line in (Path(rollout) / "tool_sets.jsonl").read_text().splitlines()]
    tools = {entry["hash"]: json.loads(entry["tools"]) for entry in listed}
    by_tool: dict[str, list[dict[str, Any]]] = {}
    for message in (message for trajectory in trajectories for message in trajectory["messages"]):
        if message["role"] == "tool":
            by_tool.setdefault(message["name"], []).append(message)
    rng = random.Random(0)
    for messages in by_tool.values():
        rng.shuffle(messages)
        results = [message["content"] for message in messages]
        for message, result in zip(messages, [*results[1:], results[0]], strict=True):
            message["content"] = result
    with Path(logs).open("w") as file:
        for trajectory in trajectories:
            answer, listing = trajectory["task"]["answer"], tools[trajectory["tools"]]
            file.write(json.dumps({"messages": trajectory["messages"], "tools": listing, "answer": answer}) + "\n")


if __name__ == "__main__":
    main(*sys.argv[1:])
