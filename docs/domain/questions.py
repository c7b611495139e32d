"""Write the questions of the parcel depot: `train.jsonl`, `held_out.jsonl` and `outside.jsonl`, in the current folder.

`python docs/domain/questions.py` stands in for the file that you bring. A row has a question, its answer, and the
reference calls that lead to it. No person, order, parcel or weight of one file is in another.
"""

from __future__ import annotations

import json
import random
import sys
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parent))
import tools

FIRST = "Ada Ben Cleo Dan Eva Finn Greta Hugo Ines Jan Kira Leo Mia Nils Olga Paul Rosa Sven Tina Viktor"
LAST = "Adler Berg Conti Dahl Egger Fuchs Gruber Huber Ibsen Jonas Keller Lang Moser Nolte Otto Peters Roth Stein"
THINGS = ("lamp", "mug", "chair", "rug", "clock", "vase", "shelf", "stool", "fan", "mirror")
DAYS = ("mon", "tue", "wed", "thu", "fri")
ONCE = ("recipient", "items", "parcel", "weight")  # what only one question of all names
SERVICES = ("standard", "express", "freight")

TRAINED = {
    ("find_parcel", "shelf"): (
        "On which shelf is the parcel for {recipient}?",
        "{recipient} waits for a parcel. Where does it lie?",
        "Find the parcel of {recipient} and say its shelf.",
    ),
    ("find_parcel", "sender"): (
        "Which shop sent the parcel for {recipient}?",
        "{recipient} got a parcel. Who sent it?",
        "Find the parcel of {recipient} and say who sent it.",
    ),
    ("find_parcel", "sender", "phone"): (
        "What is the phone number of the shop that sent the parcel for {recipient}?",
        "{recipient} wants to call the shop that sent the parcel. Which number?",
        "Find the parcel of {recipient} and give the phone number of its sender.",
    ),
    ("find_parcel", "book"): (
        "Bring the parcel for {recipient} on {day} from {start} to {end}. Which courier comes?",
        "{recipient} is at home on {day} from {start} to {end}. Who brings the parcel?",
        "Book {day}, {start} to {end}, for the parcel of {recipient} and name the courier.",
    ),
    ("order",): (
        "Order {items} by {service}. Which parcel is it?",
        "Please send {items} with {service} and tell me the id of the parcel.",
        "I need {items}, {service}. What is the parcel?",
    ),
    ("order", "shelf"): (
        "Order {items} by {service}. On which shelf is it?",
        "Please send {items} with {service} and tell me its shelf.",
        "I need {items}, {service}. Where does it lie?",
    ),
    ("shelf",): (
        "On which shelf is parcel {parcel}?",
        "Where does {parcel} lie?",
        "Say the shelf of {parcel}.",
    ),
    ("sender", "phone"): (
        "What is the phone number of the shop that sent parcel {parcel}?",
        "Which number has the shop that sent {parcel}?",
        "Give the phone number of the sender of {parcel}.",
    ),
    ("fee",): (
        "What does {service} cost for {weight} kg?",
        "How much is {weight} kg by {service}?",
        "Say the fee of {service} for {weight} kg.",
    ),
}
"""How the questions of the training file ask for each chain of tools."""

OUTSIDE = {
    ("order", "sender"): ("Order {items} by {service}. Which shop sent it?",),
    ("order", "book"): ("Order {items} by {service}. Bring it on {day} from {start} to {end}. Which courier comes?",),
    ("order", "sender", "phone"): ("I need {items}, {service}. What is the phone number of the shop that sent it?",),
    ("find_parcel", "shelf"): ("Tell {recipient} which shelf to go to.",),
    ("sender", "phone"): ("How do I reach the sender of {parcel} by phone?",),
    ("fee",): ("A box of {weight} kg has to go by {service}: what is the price?",),
}
"""Three chains that no training question has, and three that are asked in other words."""


def main() -> None:
    """Write the three files."""
    rng, seen = random.Random(0), set[str]()
    for name, questions, size in (("train", TRAINED, 300), ("held_out", TRAINED, 200), ("outside", OUTSIDE, 200)):
        rows = []
        while len(rows) < size:
            chain, values = list(questions)[len(rows) % len(questions)], draw(rng)
            question = rng.choice(questions[chain])
            named = str([value for part, value in values.items() if part in ONCE and f"{{{part}}}" in question])
            if named not in seen:
                seen.add(named)
                rows.append(row(question, chain, values))
        Path(f"{name}.jsonl").write_text("".join(json.dumps(entry) + "\n" for entry in rows))


def draw(rng: random.Random) -> dict[str, Any]:
    """Draw a value for everything that a question may name."""
    start = rng.randint(7, 17)
    return {
        "recipient": f"{rng.choice(FIRST.split())} {rng.choice(LAST.split())}",
        "items": [{"name": name, "count": rng.randint(1, 99)} for name in rng.sample(THINGS, rng.randint(1, 2))],
        "service": rng.choice(SERVICES),
        "parcel": f"P{rng.randint(1000, 9999)}",
        "weight": rng.randint(1, 999),
        "day": rng.choice(DAYS),
        "start": start,
        "end": start + rng.randint(1, 4),
    }


def row(question: str, chain: tuple[str, ...], values: dict[str, Any]) -> dict[str, Any]:
    """Write a question, run its chain of tools, and keep the calls and the last result."""
    said = " and ".join(f"{item['count']} {item['name']}" for item in values["items"])
    returned = {"find_parcel": "parcel", "order": "parcel", "sender": "shop"}
    reference, found = [], {"parcel": values["parcel"], "shop": ""}
    for name in chain:
        arguments = {
            "find_parcel": {"recipient": values["recipient"]},
            "shelf": {"parcel": found["parcel"]},
            "sender": {"parcel": found["parcel"]},
            "phone": {"shop": found["shop"]},
            "order": {"items": values["items"], "service": values["service"]},
            "book": {"parcel": found["parcel"], "window": {key: values[key] for key in ("day", "start", "end")}},
            "fee": {"service": values["service"], "weight": values["weight"]},
        }[name]
        reference.append({"name": name, "arguments": arguments})
        result = run(name, arguments)
        found |= {returned[name]: result} if name in returned else {}
    return {"question": question.format(**values | {"items": said}), "answer": result, "reference": reference}


def run(name: str, arguments: dict[str, Any]) -> str | int:
    """Call a tool as the sandbox does: objects and enums are built from their JSON."""
    built = dict(arguments)
    if "items" in built:
        built["items"] = [tools.Item(**item) for item in built["items"]]
    if "service" in built:
        built["service"] = tools.Service(built["service"])
    if "window" in built:
        built["window"] = tools.Window(**built["window"])
    return getattr(tools, name)(**built)


if __name__ == "__main__":
    main()
