"""Where the numbers are kept: the contract of a storage and the one in force.

Another storage is a class with these methods, named by its dotted path in ``PERFSUITE["METRICS"]["STORAGE"]``.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import lru_cache
from typing import NamedTuple, Protocol, cast
from uuid import UUID

from django.utils.module_loading import import_string

from perfsuite.exceptions import StoreUnavailable
from perfsuite.metrics.conf import MetricsSettings

RESOLUTIONS = (10, 60, 600, 3_600, 86_400)


class BucketRow(NamedTuple):
    """One series in one stretch of time; the fields are those of ``models.Bucket``."""

    id: UUID
    resolution: int
    start: int
    kind: str
    series: str
    count: int  # type: ignore[assignment] # a field here, not the method of tuple
    sum: float
    min: float
    max: float
    histogram: bytes


class Cell(NamedTuple):
    """What reading needs of a row."""

    start: int
    kind: str
    series: str
    count: int  # type: ignore[assignment] # a field here, not the method of tuple
    sum: float
    min: float
    max: float
    histogram: bytes


class SeriesRow(NamedTuple):
    """The fields of ``models.Series`` that describe a series."""

    id: str
    kind: str
    labels: str


class Span(NamedTuple):
    """Rows of one resolution with ``start <= row.start < end``, in seconds since the epoch."""

    resolution: int
    start: int
    end: int


class StoredSighting(NamedTuple):
    """What one process saw of one finding between two flushes; the fields are those of ``models.Sighting``.

    ``start`` orders the rows for merging, ``at`` is when the last was seen, both in seconds since the epoch. ``about`` is a JSON
    list of the finding's kind, subject, alias, route and site, ``evidence`` a JSON object.
    """

    id: UUID
    start: int
    finding: str
    at: int
    count: int  # type: ignore[assignment] # a field here, not the method of tuple
    saving_us: float
    saving_us_max: float
    about: str
    evidence: str


class StoredExemplar(NamedTuple):
    """One exemplar; the fields are those of ``models.Exemplar``."""

    id: UUID
    series: str
    at: int
    value: float
    data: str


class StoredFinding(NamedTuple):
    """One finding; the fields are those of ``models.Finding``."""

    id: str
    kind: str
    subject: str
    evidence: str
    state: str
    first_seen: int
    last_seen: int
    alias: str
    route: str
    site: str
    count: int  # type: ignore[assignment] # a field here, not the method of tuple
    saving_us: float
    saving_us_max: float
    runs: int
    quiet_runs: int
    recent_runs: float
    recent_count: float
    merged_to: int
    state_at: int
    state_by: str
    regressions: int


class Storage(Protocol):
    """What the flusher, the leader's jobs and the read side need. Every method may raise ``StoreUnavailable``."""

    def append(self, rows: Sequence[BucketRow], again: bool = False) -> None:
        """Write all rows or none. With ``again``, rows whose id is already there are left as they are."""

    def announce(self, series: Iterable[SeriesRow], day: int) -> None:
        """Make sure that the series are described."""

    def describe(self, ids: Sequence[str]) -> dict[str, SeriesRow]:
        """Return the description of each series that is known."""

    def kinds(self) -> set[str]:
        """Return the kinds of the series that are described: no other has rows, but for those of the last moment."""

    def cells(
        self, spans: Sequence[Span], kinds: Sequence[str] | None = None, series: Sequence[str] | None = None
    ) -> Iterable[Cell]:
        """Yield the rows of the spans, of some kinds and of some series if given."""

    def sums(
        self, spans: Sequence[Span], kind: str, series: Sequence[str] | None = None
    ) -> list[tuple[str, int, float, float, float]]:
        """Return ``(series, count, sum, min, max)`` over the spans for each series of a kind, of some series if given."""

    def first_start(self, resolution: int, since: int | None) -> int | None:
        """Return the smallest start of a resolution's rows, from ``since`` on if given."""

    def marks(self, names: Sequence[str]) -> dict[str, int]:
        """Return the marks that are set."""

    def move_mark(self, name: str, old: int | None, new: int) -> bool:
        """Set a mark if it still is ``old`` (None: if it is not set); return whether it was."""

    def count_before(self, resolution: int, before: int) -> int:
        """Return how many rows of a resolution start before ``before``."""

    def trim(self, resolution: int, before: int, limit: int) -> int:
        """Delete up to ``limit`` rows of a resolution that start before ``before``; return how many were."""

    def trim_series(self, before: int, limit: int) -> int:
        """Delete up to ``limit`` descriptions of series not announced since ``before``; return how many were."""

    def read_lease(self, name: str) -> tuple[str, int] | None:
        """Return the owner and beat of a lease."""

    def move_lease(self, name: str, old: tuple[str, int] | None, new: tuple[str, int]) -> bool:
        """Set owner and beat if they still are ``old`` (None: if there is no such lease); return whether it was."""

    def append_sightings(self, rows: Sequence[StoredSighting], again: bool = False) -> None:
        """Write sightings as ``append`` writes buckets."""

    def sightings(self, start: int, end: int | None) -> list[StoredSighting]:
        """Return the sightings with ``start <= row.start < end``."""

    def first_sighting(self, since: int | None) -> int | None:
        """Return the smallest start of a sighting, from ``since`` on if given."""

    def trim_sightings(self, before: int, limit: int) -> int:
        """Delete up to ``limit`` sightings that start before ``before``; return how many were."""

    def findings(
        self, ids: Sequence[str] | None = None, states: Sequence[str] | None = None, since: int | None = None
    ) -> list[StoredFinding]:
        """Return the findings with these ids, in these states, and last seen at or after ``since``, if given."""

    def move_finding(self, old: StoredFinding | None, new: StoredFinding) -> bool:
        """Replace a finding whose ``merged_to``, ``state`` and ``state_at`` still are those of ``old``; return whether it was.

        With None, insert it unless there is one of that id.
        """

    def trim_findings(self, state: str, before: int, limit: int) -> int:
        """Delete up to ``limit`` findings in a state last seen before ``before``; return how many were."""

    def append_exemplars(self, rows: Sequence[StoredExemplar], again: bool = False) -> None:
        """Write exemplars as ``append`` writes buckets."""

    def exemplars(self, *series: str) -> list[StoredExemplar]:
        """Return the exemplars of one or more series."""

    def trim_exemplars(self, before: int, slowest: int, recent: int) -> int:
        """Delete what is older than ``before``, and all but so many slowest and most recent of a series; return how many were."""

    def close(self) -> None:
        """Let go of the connection of this thread, as its host's settings ask."""


def get_storage() -> Storage:
    """Return the storage in force; raise ``StoreUnavailable`` if its class cannot be used."""
    path = MetricsSettings.get().storage
    try:
        return _load(path)
    except Exception as exc:
        raise StoreUnavailable(
            f"PERFSUITE['METRICS']['STORAGE'] is {path!r}, which cannot be used: {exc}."
        ) from exc


@lru_cache(maxsize=4)
def _load(path: str) -> Storage:
    return cast(Storage, import_string(path)())
