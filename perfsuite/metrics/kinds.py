"""The kinds of series that this suite records: their names, units, labels and caps.

A kind is declared once, by the app that records it. Its cap bounds the memory of a process and the rows of the store:
once that many different label values are known, further ones fold into ``<other>``, which the panel shows as such.
"""

from __future__ import annotations

from dataclasses import dataclass

OTHER = "<other>"


@dataclass(frozen=True)
class Kind:
    """What a family of series measures.

    ``unit`` is that of one unit of the histogram ("us", "bytes", "count"); ``labels`` are the names of the label values, in
    order; ``cap`` is how many different label values one process keeps; ``percentiles`` False keeps only count, sum, min, max.
    """

    name: str
    unit: str
    labels: tuple[str, ...]
    cap: int = 300
    percentiles: bool = True


_kinds: dict[str, Kind] = {}


def declare(kind: Kind) -> Kind:
    """Make a kind known and return it. Declaring the same one again is harmless, another of its name is a ValueError."""
    if _kinds.setdefault(kind.name, kind) != kind:
        raise ValueError(f"The kind {kind.name!r} is already declared as {_kinds[kind.name]!r}.")
    return kind


def lookup(name: str) -> Kind | None:
    """Return the declared kind of that name."""
    return _kinds.get(name)


# What perfsuite measures about itself.
SELF_REQUEST = declare(Kind("self.request", "us", (), cap=1))
SELF_FLUSH = declare(Kind("self.flush", "us", (), cap=1))
SELF_DROPPED = declare(Kind("self.dropped", "count", ("kind",), cap=100, percentiles=False))
SELF_FOLDED = declare(Kind("self.folded", "count", ("kind",), cap=100, percentiles=False))
SELF_FAILURES = declare(Kind("self.failures", "count", ("hook",), cap=100, percentiles=False))
OWN = tuple(kind.name for kind in (SELF_REQUEST, SELF_FLUSH, SELF_DROPPED, SELF_FOLDED, SELF_FAILURES))
