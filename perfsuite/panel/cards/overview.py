"""The key figures of the site, each with its change against the period before."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import zip_longest

from perfsuite.metrics.histogram import Histogram
from perfsuite.panel.cards.base import CardContext, CardData, Tile, change, merged, ms, percent, tiles
from perfsuite.panel.conf import PanelSettings


class Overview:
    """Requests per minute, response times, errors and what the database has to do with them."""

    id = "overview"
    title = "Overview"

    def data(self, view: CardContext) -> CardData:
        """Return the tiles."""
        return tiles(self, [*_request_tiles(view), *_database_tiles(view)])


def _request_tiles(view: CardContext) -> list[Tile]:
    settings = PanelSettings.get()
    points, failed = view.requests, view.requests_by_status.get("5xx", [])
    now, errors = merged(points), sum(point.count for point in failed)
    before, errors_before = _requests_before(view)
    error_rate, error_rate_before = percent(errors, now.count), percent(errors_before, before.count)
    rate = 60 * now.count / _measured_s(view, points, before)
    rate_before = 60 * before.count / view.previous.seconds
    any_request = now.count > 0
    return [
        Tile(
            "requests_per_minute",
            "Requests / min",
            round(rate, 2) if any_request else None,
            delta=change(rate, rate_before, before.count),
            better="neutral",
            spark=view.per_minute(points) if any_request else (),
            hint=f"{now.count:,} in this range",
        ),
        _time_tile("avg", "Average", _mean, now, before, points),
        _time_tile("p95", "p95", _quantile(0.95), now, before, points, settings.p95_target_ms),
        _time_tile("p99", "p99", _quantile(0.99), now, before, points),
        Tile(
            "error_rate",
            "Errors",
            error_rate if any_request else None,
            unit="%",
            delta=change(error_rate, error_rate_before, before.count),
            target=settings.error_target_percent,
            spark=[
                percent(bad.count if bad else 0, point.count) if point.count else None
                for bad, point in zip_longest(failed, points)
            ],
        ),
    ]


def _database_tiles(view: CardContext) -> list[Tile]:
    """Statements are noted in requests only, so that all of them belong to the requests of the same time."""
    points, requests = view.read.series("queries", view.window, view.step), view.requests
    now, before = merged(points), view.read.totals("queries", view.previous)
    all_now, (all_before, _) = merged(requests), _requests_before(view)
    per_request, per_request_before = _ratio(now.count, all_now.count), _ratio(before.count, all_before.count)
    share, share_before = percent(now.sum, all_now.sum), percent(before.sum, all_before.sum)
    both = list(zip(points, requests, strict=True))
    return [
        Tile(
            "queries_per_request",
            "Queries / request",
            round(per_request, 2) if all_now.count else None,
            delta=change(per_request, per_request_before, all_before.count),
            spark=[
                round(_ratio(part.count, whole.count), 2) if whole.count else None for part, whole in both
            ],
            hint=f"{now.count:,} statements",
        ),
        _time_tile(
            "db_p95",
            "Query p95",
            _quantile(0.95),
            now,
            before,
            points,
            PanelSettings.get().database_target_ms,
        ),
        Tile(
            "db_share",
            "Time in database",
            share if all_now.count else None,
            unit="%",
            digits=0,
            delta=change(share, share_before, all_before.count),
            better="neutral",
            spark=[percent(part.sum, whole.sum) if whole.count else None for part, whole in both],
            hint="of the response time",
        ),
    ]


def _time_tile(
    name: str,
    label: str,
    measure: Callable[[Histogram], float],
    now: Histogram,
    before: Histogram,
    points: Sequence[Histogram],
    target_ms: float | None = None,
) -> Tile:
    return Tile(
        name,
        label,
        ms(measure(now)) if now.count else None,
        unit="ms",
        delta=change(measure(now), measure(before), before.count),
        target=target_ms,
        spark=[ms(measure(point)) if point.count else None for point in points],
        hint="" if target_ms is not None else "response time",
    )


def _mean(histogram: Histogram) -> float:
    return histogram.mean


def _quantile(q: float) -> Callable[[Histogram], float]:
    return lambda histogram: histogram.quantile(q)


def _requests_before(view: CardContext) -> tuple[Histogram, int]:
    """Return the response times of the period before, and how many of them ended in a server error."""
    by_status = view.read.totals_by("requests.status", view.previous, "status")
    return merged(by_status.values()), by_status["5xx"].count if "5xx" in by_status else 0


def _measured_s(view: CardContext, points: Sequence[Histogram], before: Histogram) -> float:
    """Return the seconds that the count belongs to: those since the first request where nothing was measured before it."""
    first = next((index for index, point in enumerate(points) if point.count), 0)
    if before.count or not first:
        return view.elapsed_s
    return max(float(view.step), view.elapsed_s - first * view.step)


def _ratio(part: float, whole: float) -> float:
    return part / whole if whole else 0.0
