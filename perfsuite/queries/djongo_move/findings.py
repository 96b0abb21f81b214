"""One thing that stands between a host and django-mongodb-backend."""

from __future__ import annotations

import re
from dataclasses import asdict, dataclass

KINDS = ("setting", "requirement", "model", "source")
DIGITS = re.compile(r"(\d+)")


@dataclass(frozen=True)
class Finding:
    """Where something is, what it is, and what to write instead. ``kind`` is one of ``KINDS``."""

    kind: str
    place: str
    what: str
    instead: str

    def __str__(self) -> str:
        return f"{self.place}: {self.what} Instead: {self.instead}"

    def as_dict(self) -> dict[str, str]:
        """Return the fields by their names."""
        return asdict(self)


def in_order(findings: list[Finding]) -> list[Finding]:
    """Return the findings by kind and place, line 9 before line 10."""
    return sorted(findings, key=lambda each: (KINDS.index(each.kind), _natural(each.place), each.what))


def _natural(place: str) -> list[tuple[int, str]]:
    return [(int(part), "") if part.isdecimal() else (-1, part) for part in DIGITS.split(place)]
