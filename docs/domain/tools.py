"""Tools of a parcel depot: where parcels are, who brings them, and what is ordered."""

from dataclasses import dataclass
from enum import Enum
from hashlib import sha256
from typing import Literal


class Service(Enum):
    """How an order travels."""

    STANDARD = "standard"
    EXPRESS = "express"
    FREIGHT = "freight"


@dataclass
class Item:
    """A line of an order."""

    name: str
    count: int


@dataclass
class Window:
    """When somebody is at home, in whole hours."""

    day: Literal["mon", "tue", "wed", "thu", "fri"]
    start: int
    end: int


def find_parcel(recipient: str) -> str:
    """The id of the parcel that waits for somebody."""
    return f"P{_number('parcel', recipient)}"


def shelf(parcel: str) -> str:
    """The shelf on which a parcel lies."""
    number = _number("shelf", parcel)
    return f"{'ABCDEFGH'[number % 8]}{number // 8 % 90 + 10}"


def sender(parcel: str) -> str:
    """The id of the shop that sent a parcel."""
    return f"S{_number('sender', parcel)}"


def phone(shop: str) -> int:
    """The phone number of a shop."""
    return _number("phone", shop)


def order(items: list[Item], service: Service) -> str:
    """Order items from stock; returns the id of the new parcel."""
    lines = ",".join(f"{item.count} {item.name}" for item in items)
    return f"P{_number('order', lines, service.value)}"


def book(parcel: str, window: Window) -> str:
    """Book the delivery of a parcel; returns the badge of the courier who will bring it."""
    if window.end <= window.start:
        raise ValueError(f"the window ends at {window.end}, before it starts")
    return f"C{_number('courier', parcel, window.day, window.start, window.end)}"


def fee(service: Service, weight: int) -> int:
    """What a service costs for a weight in kg, in cents."""
    return _number("fee", service.value, weight)


def _number(*key: object) -> int:
    """A number of four digits that stands for what a database would hold."""
    return 1000 + int(sha256("/".join(map(str, key)).encode()).hexdigest(), 16) % 9000
