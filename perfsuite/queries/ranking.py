"""What was recorded of statements, for the panel and the commands: a ranking of all, and everything about one.

Each costs a handful of reads, however many statements there are; histograms are read only of those that are shown.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property

from perfsuite.metrics.exemplars import ExemplarRow, exemplars_of
from perfsuite.metrics.histogram import Histogram
from perfsuite.metrics.query import Order, Row, Window, series_of, top, totals_of
from perfsuite.metrics.reading import one_reading
from perfsuite.queries.fingerprint import operation_of
from perfsuite.queries.short_id import short_id

FINGERPRINT, SLOW, FAILED = "queries.fingerprint", "queries.slow", "queries.failed"
ROWS, DOCUMENTS = "queries.rows", "queries.documents"
# How a ranking is called in an address -> what it is ordered by; by errors it is made here.
SORTS: dict[str, Order | None] = {"total": "sum", "p95": "p95", "count": "count", "errors": None}
# Lines of a ranking; their histograms are most of what it reads.
SHOWN = 25
# More groups than a store can hold: "all of them".
ALL = 100_000
# Of one statement, no more routes and exemplars than these are shown.
MAX_ROUTES = 20
MAX_EXEMPLARS = 12
# A statement that did not run in the range of the page is looked for so far back, as explain_query does.
WINDOW_S = 30 * 86_400

LABELS = ("fingerprint", "alias", "route")
Key = tuple[str, str]
Labels = tuple[str, str, str]


@dataclass(frozen=True)
class Chosen:
    """What a ranking is narrowed to, "" where it is not, and its order."""

    sort: str = "total"
    alias: str = ""
    route: str = ""
    operation: str = ""

    def has(self, labels: Mapping[str, str]) -> bool:
        """Tell whether a series is part of it."""
        return (
            self.alias in ("", labels["alias"])
            and self.route in ("", labels["route"])
            and self.operation in ("", operation_of(labels["fingerprint"]))
        )


@dataclass(frozen=True)
class Counts:
    """What is counted beside the time: how often a statement failed or was slow, and its rows or documents."""

    failed: int = 0
    slow: int = 0
    rows: Histogram = field(default_factory=Histogram)

    @property
    def rows_each(self) -> float | None:
        """Rows or documents of one call, None where no driver tells."""
        return self.rows.mean if self.rows.count else None


@dataclass(frozen=True)
class Line:
    """One statement on one database."""

    fingerprint: str
    alias: str
    value: Histogram
    counts: Counts
    routes: tuple[str, ...] = ()  # where it ran, the most expensive first

    @property
    def short_id(self) -> str:
        """The name by which its page and the commands know it."""
        return short_id(self.fingerprint)

    @property
    def operation(self) -> str:
        """What it does."""
        return operation_of(self.fingerprint)

    @property
    def is_one(self) -> bool:
        """Whether it is a statement, and not the rest of them or one whose description is gone."""
        return not (self.fingerprint.startswith("<") and self.fingerprint.endswith(">"))


@dataclass(frozen=True)
class Ranking:
    """The first lines of a ranking, how many there are in all and what they come to, and what there is to choose from."""

    lines: list[Line]
    of: int
    whole: Histogram  # its count and its sum
    aliases: list[str]
    routes: list[str]
    operations: list[str]


def rank(window: Window, chosen: Chosen, limit: int = SHOWN) -> Ranking:
    """Return the first ``limit`` statements of the window. Raises ``StoreUnavailable``."""
    with one_reading():
        every = top(FINGERPRINT, window, LABELS, limit=ALL, percentiles=False)
        matching = [row for row in every if chosen.has(row.labels)]
        order = SORTS[chosen.sort]
        if order is not None:
            rows = top(FINGERPRINT, window, LABELS[:2], order, limit, where=chosen.has)
            of = len({_key(row) for row in matching})
        else:
            rows, of = _failed(window, chosen, limit)
        shown = {_key(row) for row in rows}
        counts = _counts(window, [_labels(row) for row in matching if _key(row) in shown])
    whole = Histogram()
    routes: dict[Key, list[str]] = {}
    for row in matching:  # the most expensive first
        whole.merge(row.value)
        routes.setdefault(_key(row), []).append(row.labels["route"])
    return Ranking(
        [
            Line(*_key(row), row.value, counts.get(_key(row), Counts()), tuple(routes.get(_key(row), ())))
            for row in rows
        ],
        of,
        whole,
        sorted({row.labels["alias"] for row in every}),
        sorted({row.labels["route"] for row in every}),
        sorted({operation_of(fingerprint) for fingerprint in {row.labels["fingerprint"] for row in every}}),
    )


def _failed(window: Window, chosen: Chosen, limit: int) -> tuple[list[Row], int]:
    """Return the statements that failed most often, and how many failed."""
    failed = top(FAILED, window, LABELS[:2], "count", ALL, percentiles=False, where=chosen.has)
    places = {_key(row): place for place, row in enumerate(failed[:limit])}

    def has(labels: Mapping[str, str]) -> bool:
        return (labels["fingerprint"], labels["alias"]) in places and chosen.has(labels)

    rows = top(FINGERPRINT, window, LABELS[:2], limit=limit, where=has)
    return sorted(rows, key=lambda row: places[_key(row)]), len(failed)


def _counts(window: Window, labels: Sequence[Labels]) -> dict[Key, Counts]:
    """Return what is counted of the statements with these series, of which there are few."""

    def of(kind: str) -> dict[Key, Histogram]:
        merged: dict[Key, Histogram] = {}
        for (fingerprint, alias, _), value in totals_of(kind, window, labels).items():
            if value.count:
                merged.setdefault((fingerprint, alias), Histogram()).merge(value)
        return merged

    failed, slow = of(FAILED), of(SLOW)
    # A statement has rows or documents, and never both.
    rows = {**of(ROWS), **of(DOCUMENTS)}
    none = Histogram()
    return {
        key: Counts(failed.get(key, none).count, slow.get(key, none).count, rows.get(key, none))
        for key in {*failed, *slow, *rows}
    }


def _labels(row: Row) -> Labels:
    return row.labels["fingerprint"], row.labels["alias"], row.labels["route"]


def _key(row: Row) -> Key:
    return row.labels["fingerprint"], row.labels["alias"]


@dataclass(frozen=True)
class Statement:
    """One statement on one database, and where else the same ran."""

    fingerprint: str
    alias: str
    aliases: list[str]
    routes: list[str]
    ran_in_window: bool

    @property
    def labels(self) -> list[Labels]:
        """The label values of its series, as the kind has them."""
        return [(self.fingerprint, self.alias, route) for route in self.routes]

    def has(self, labels: Mapping[str, str]) -> bool:
        """Tell whether a series is one of it."""
        return (labels["fingerprint"], labels["alias"]) == (self.fingerprint, self.alias)


def statement(name: str, alias: str, window: Window) -> Statement | None:
    """Return the statement of that short id, on that alias if given, else where it took most time; None if there is none."""
    for there, wanted in ((window, True), (Window.last(WINDOW_S), False)):
        rows = top(
            FINGERPRINT,
            there,
            ("fingerprint", "alias", "route"),
            limit=ALL,
            percentiles=False,
            where=lambda labels: short_id(labels["fingerprint"]) == name,
        )
        on = [row for row in rows if alias in ("", row.labels["alias"])]
        if on:
            first = on[0].labels
            same = [row.labels for row in rows if row.labels["fingerprint"] == first["fingerprint"]]
            routes = [labels["route"] for labels in same if labels["alias"] == first["alias"]]
            aliases = sorted({labels["alias"] for labels in same})
            return Statement(first["fingerprint"], first["alias"], aliases, routes, wanted)
    return None


@dataclass(frozen=True)
class Site:
    """A call site among the exemplars: how many of them it has, and the slowest."""

    site: str
    remembered: int
    slowest_us: float


@dataclass(frozen=True)
class Details:
    """Everything about a statement in a window."""

    value: Histogram
    counts: Counts
    routes: list[Row]
    points: list[Histogram]
    exemplars: list[tuple[str, ExemplarRow]]

    @cached_property
    def sites(self) -> list[Site]:
        """The lines that ran it, as far as the exemplars tell."""
        of: dict[str, list[float]] = {}
        for _, row in self.exemplars:
            if row.data.get("site"):
                of.setdefault(str(row.data["site"]), []).append(row.value)
        sites = [Site(site, len(values), max(values)) for site, values in of.items()]
        return sorted(sites, key=lambda site: -site.slowest_us)

    @property
    def shown(self) -> list[tuple[str, ExemplarRow]]:
        """The slowest exemplars and the latest, each with its route, slowest first."""
        if len(self.exemplars) <= MAX_EXEMPLARS:
            return self.exemplars
        slowest = self.exemplars[: MAX_EXEMPLARS // 2]
        rest = sorted(self.exemplars[MAX_EXEMPLARS // 2 :], key=lambda each: -each[1].at)
        return [*slowest, *rest[: MAX_EXEMPLARS - len(slowest)]]


def details(of: Statement, window: Window, step: int) -> Details:
    """Return what is known of a statement; shares what it reads with ``statement`` in a ``one_reading``."""
    routes = top(FINGERPRINT, window, ("route",), limit=ALL, where=of.has)
    points = series_of(FINGERPRINT, window, step, of.labels)
    counts = _counts(window, of.labels).get((of.fingerprint, of.alias), Counts())
    found = [(labels[2], row) for labels, row in exemplars_of(FINGERPRINT, of.labels[:MAX_ROUTES])]
    whole = Histogram()
    for row in routes:
        whole.merge(row.value)
    return Details(whole, counts, routes[:MAX_ROUTES], points, found)
