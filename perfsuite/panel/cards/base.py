"""What a card is, how one is loaded, and the shapes that the page can draw.

A card of a third party needs no JavaScript: it returns what ``tiles``, ``chart``, ``table`` or ``message`` make. Durations
are milliseconds, percentages 0 to 100, a delta is a fraction (0.12 is 12 % more). Text is shown as text, never as HTML.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from functools import cached_property
from typing import Any, Literal, Protocol, TypedDict, Unpack, cast

from django.core.exceptions import ImproperlyConfigured
from django.utils.module_loading import import_string

from perfsuite.metrics.conf import MetricsSettings
from perfsuite.metrics.histogram import Histogram
from perfsuite.metrics.query import Window
from perfsuite.panel.cards.reader import Reader

# What a card returns: JSON, whose "type" decides how the page draws it.
CardData = dict[str, Any]
Line = Sequence[str | float | None]
Width = Literal["full", "wide", "half", "narrow"]
CellKind = Literal["text", "code", "number", "ms", "duration", "percent", "bytes", "share"]
Level = Literal["info", "warning", "error"]

US_PER_MS = 1_000
FLUSHES_PER_RATE = 3
# A change against fewer values than this says more about chance than about the site.
LEAST_BEFORE = 20


@dataclass(frozen=True)
class CardContext:
    """What a card is asked to show.

    ``window`` is the range, its start on a full ``step`` seconds and its end within one step after ``now``; ``previous`` is the
    stretch of the same length before it. ``read`` has the functions of ``perfsuite.metrics.query`` and shares their answers
    with the other cards.
    """

    window: Window
    previous: Window
    step: int
    range: str
    now: float
    read: Reader

    @property
    def steps(self) -> list[int]:
        """The start of each step of the window, in seconds since the epoch."""
        return list(range(self.window.start, self.window.end, self.step))

    @cached_property
    def requests_by_status(self) -> dict[str, list[Histogram]]:
        """Return the response times of all requests, one histogram for each step, by status class."""
        return self.read.series_by("requests.status", self.window, self.step, "status")

    @cached_property
    def requests(self) -> list[Histogram]:
        """Return the response times of all requests, one histogram for each step."""
        points = [Histogram() for _ in self.steps]
        for series in self.requests_by_status.values():
            for point, part in zip(points, series, strict=True):
                point.merge(part)
        return points

    @property
    def elapsed_s(self) -> float:
        """The seconds of the window that have passed; at least one."""
        return max(1.0, min(float(self.window.end), self.now) - self.window.start)

    def per_minute(self, points: Sequence[Histogram]) -> list[float | None]:
        """Return the counts of a series as rates, with None for the running step until it says enough.

        A process writes what it counted in one flush interval under the instant of the flush, so a step as short as that
        may hold one flush or two. Rates are therefore taken over at least three intervals, ending with the step.
        """
        least_s = FLUSHES_PER_RATE * MetricsSettings.get().flush_interval_s
        width = max(1, math.ceil(least_s / self.step))
        rates: list[float | None] = []
        for index, start in enumerate(self.steps):
            passed_s = min(float(self.step), self.now - start)
            if passed_s < min(self.step, least_s):
                rates.append(None)
                continue
            first = max(0, index - width + 1)
            count = sum(point.count for point in points[first : index + 1])
            rates.append(round(60 * count / ((index - first) * self.step + passed_s), 2))
        return rates


class Card(Protocol):
    """One card of the panel. ``id`` is its name in the page, unique among the cards."""

    id: str
    title: str

    def data(self, view: CardContext) -> CardData | None:
        """Return what to draw, or None to be left out. What it raises is shown in its place; the other cards stay."""


def load(path: str) -> Card:
    """Return the card of a dotted path; raise ``ImproperlyConfigured`` with one sentence if there is none."""
    try:
        made = import_string(path)()
    except ImportError as exc:
        raise ImproperlyConfigured(f"The card {path!r} cannot be imported: {exc}.") from exc
    except TypeError as exc:
        raise ImproperlyConfigured(f"The card {path!r} cannot be made without arguments: {exc}.") from exc
    missing = [name for name in ("id", "title", "data") if not hasattr(made, name)]
    if missing:
        raise ImproperlyConfigured(f"The card {path!r} has no {' and no '.join(missing)}.")
    return cast(Card, made)


@dataclass(frozen=True)
class Tile:
    """One key figure. ``digits`` None shows three significant ones; ``better`` says which direction is good news.

    ``target`` is the most that the value should be, and where ``better`` is "up", the least.
    """

    id: str
    label: str
    value: float | None
    unit: str = ""
    digits: int | None = None
    delta: float | None = None
    better: Literal["up", "down", "neutral"] = "down"
    target: float | None = None
    spark: Sequence[float | None] = ()
    hint: str = ""

    @property
    def status(self) -> Literal["ok", "warn", "none"]:
        """Whether the value is within its target."""
        if self.value is None or self.target is None:
            return "none"
        within = self.value >= self.target if self.better == "up" else self.value <= self.target
        return "ok" if within else "warn"


@dataclass(frozen=True)
class Column:
    """A column of a table: how its values are formatted follows from ``kind``."""

    id: str
    label: str
    kind: CellKind = "number"

    @property
    def align(self) -> Literal["left", "right"]:
        """Numbers are set to the right."""
        return "left" if self.kind in ("text", "code") else "right"


def tiles(
    card: Card, figures: Sequence[Tile], *, hint: str = "", size: Literal["large", "small"] = "large"
) -> CardData:
    """Make a row of key figures."""
    shown = [{**vars(tile), "spark": list(tile.spark), "status": tile.status} for tile in figures]
    return {"id": card.id, "type": "tiles", "title": card.title, "hint": hint, "size": size, "tiles": shown}


class Look(TypedDict, total=False):
    """What any chart or table may say about itself: words beside its title, its width, words for when it is empty."""

    hint: str
    width: Width
    empty: str


def chart(
    card: Card,
    view: CardContext,
    series: Sequence[tuple[str, str, Sequence[float | None]]],
    *,
    unit: str,
    stacked: bool = False,
    threshold: tuple[float, str] | None = None,
    **look: Unpack[Look],
) -> CardData:
    """Make a chart over the window's steps of ``(id, label, values)``; None is a gap, ``threshold`` a line with its label."""
    return {
        "id": card.id,
        "type": "chart",
        "title": card.title,
        "unit": unit,
        "x": view.steps,
        "series": [{"id": each, "label": label, "values": list(values)} for each, label, values in series],
        "stacked": stacked,
        "threshold": {"value": threshold[0], "label": threshold[1]} if threshold else None,
        "hint": "",
        "width": "full",
        "empty": "No requests in this range yet.",
        **look,
    }


def table(
    card: Card,
    columns: Sequence[Column],
    rows: Sequence[Line],
    *,
    sorted_by: str = "",
    **look: Unpack[Look],
) -> CardData:
    """Make a table. ``sorted_by`` names the column by which the rows come in descending order."""
    made: CardData = {
        "id": card.id,
        "type": "table",
        "title": card.title,
        "columns": [{**asdict(column), "align": column.align} for column in columns],
        "rows": [list(row) for row in rows],
        "hint": "",
        "width": "full",
        "empty": "Nothing in this range yet.",
        **look,
    }
    if sorted_by:
        made["sort"] = {"column": sorted_by, "direction": "descending"}
    return made


def message(card_id: str, title: str, text: str, level: Level = "info") -> CardData:
    """Make a card that is only a sentence."""
    return {"id": card_id, "type": "message", "title": title, "level": level, "text": text}


def merged(histograms: Iterable[Histogram]) -> Histogram:
    """Return all values of several histograms in one."""
    whole = Histogram()
    for each in histograms:
        whole.merge(each)
    return whole


def ms(microseconds: float) -> float:
    """Turn the store's microseconds into the page's milliseconds, rounded to one microsecond."""
    return round(microseconds / US_PER_MS, 3)


def percent(part: float, whole: float) -> float:
    """Return ``part`` in percent of ``whole``, 0.0 of nothing."""
    return round(100 * part / whole, 3) if whole else 0.0


def change(now: float, before: float, count_before: int) -> float | None:
    """Return a delta, None where there was too little before to compare with."""
    return round(now / before - 1, 4) if before > 0 and count_before >= LEAST_BEFORE else None


def shares(
    layers: Sequence[tuple[str, str, Sequence[Histogram]]],
) -> list[tuple[str, str, list[float | None]]]:
    """Turn series of counters into the series of a stacked chart: what each is of all at each step, in percent."""
    sums = [sum(point.sum for point in at) for at in zip(*(points for _, _, points in layers), strict=True)]
    return [
        (
            name,
            label,
            [percent(point.sum, whole) if whole else None for point, whole in zip(points, sums, strict=True)],
        )
        for name, label, points in layers
    ]
