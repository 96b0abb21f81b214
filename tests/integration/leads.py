"""Who led when, as the processes themselves wrote it down (watched_wsgi.py), on the one monotonic clock of this machine."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping, Sequence
from itertools import pairwise
from pathlib import Path

FILE = "leads"


@dataclasses.dataclass(frozen=True)
class Lead:
    """A stretch in which ``leads()`` was true in a process, from its first to its last instant."""

    pid: int
    start: float
    end: float


def leads(folder: Path, died: Mapping[int, float] | None = None) -> list[Lead]:
    """Return all leads of a site's processes by their start; ``died`` says since when a killed process is known to be gone."""
    file = folder / FILE
    found: list[Lead] = []
    noted: dict[int, list[tuple[float, float]]] = {}
    for line in file.read_text().splitlines() if file.exists() else ():
        pid, at, until = line.split()
        noted.setdefault(int(pid), []).append((float(at), float(until)))
    for pid, changes in noted.items():
        gone = (died or {}).get(pid, math.inf)
        for (at, until), (next_at, _) in pairwise([*changes, (math.inf, 0.0)]):
            if not until:
                continue
            lead = Lead(pid, at, min(until, next_at, gone))
            if found and found[-1].pid == pid and found[-1].end == at:
                lead = dataclasses.replace(found.pop(), end=lead.end)
            found.append(lead)
    return sorted(found, key=lambda lead: lead.start)


def overlaps(found: Sequence[Lead]) -> list[tuple[Lead, Lead]]:
    """Return each pair of processes that led at the same instant."""
    pairs = [(one, other) for index, one in enumerate(found) for other in found[index + 1 :]]
    return [(one, other) for one, other in pairs if one.pid != other.pid and other.start < one.end]
