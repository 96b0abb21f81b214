"""The key figures of the site, each with its change against the period before."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import zip_longest

from perfsuite.metrics.histogram import Histogram
from perfsuite.panel.cards.base import CardContext, CardData, Tile, merged, ms, percent, tiles
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
            delta=_delta(rate, rate_before),
            better="neutral",
            spark=view.per_minute(points) if any_request else (),
            hint=f"{now.count:,} in this range",
        ),
        _time_tile("avg", "Average", now.mean, before.mean, [point.mean for point in points], points),
        _percentile_tile("p95", 0.95, now, before, points, settings.p95_target_ms),
        _percentile_tile("p99", 0.99, now, before, points),
        Tile(
            "error_rate",
            "Errors",
            error_rate if any_request else None,
            unit="%",
            delta=_delta(error_rate, error_rate_before),
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
            delta=_delta(per_request, per_request_before),
            spark=[
                round(_ratio(part.count, whole.count), 2) if whole.count else None for part, whole in both
            ],
            hint=f"{now.count:,} statements",
        ),
        _percentile_tile(
            "db_p95", 0.95, now, before, points, PanelSettings.get().database_target_ms, label="Query p95"
        ),
        Tile(
            "db_share",
            "Time in database",
            share if all_now.count else None,
            unit="%",
            digits=0,
            delta=_delta(share, share_before),
            better="neutral",
            spark=[percent(part.sum, whole.sum) if whole.count else None for part, whole in both],
            hint="of the response time",
        ),
    ]


def _time_tile(
    name: str,
    label: str,
    now_us: float,
    before_us: float,
    values_us: Sequence[float],
    points: Sequence[Histogram],
    target_ms: float | None = None,
) -> Tile:
    spark = [ms(value) if point.count else None for value, point in zip(values_us, points, strict=True)]
    known = any(point.count for point in points)
    delta = _delta(now_us, before_us)
    hint = "" if target_ms is not None else "response time"
    return Tile(
        name,
        label,
        ms(now_us) if known else None,
        unit="ms",
        delta=delta,
        target=target_ms,
        spark=spark,
        hint=hint,
    )


def _percentile_tile(
    name: str,
    q: float,
    now: Histogram,
    before: Histogram,
    points: Sequence[Histogram],
    target_ms: float | None = None,
    label: str = "",
) -> Tile:
    values = [point.quantile(q) for point in points]
    return _time_tile(name, label or name, now.quantile(q), before.quantile(q), values, points, target_ms)


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


def _delta(now: float, before: float) -> float | None:
    return round(now / before - 1, 4) if before > 0 else None
