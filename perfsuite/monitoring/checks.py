"""System checks of the monitoring app."""

from __future__ import annotations

from typing import Any

from django.core import checks

from perfsuite.conf import middleware_places

PATH = "perfsuite.monitoring.RequestMetricsMiddleware"


@checks.register("perfsuite")
def check_middleware(**kwargs: Any) -> list[checks.CheckMessage]:
    """Report RequestMetricsMiddleware given twice (E001), not outermost (W001) or missing (W002)."""
    places = middleware_places("perfsuite.monitoring", "RequestMetricsMiddleware")
    if len(places) > 1:
        message = f"RequestMetricsMiddleware is in MIDDLEWARE {len(places)} times; each request would be counted as often."
        return [
            checks.Error(
                message, hint=f"Keep only the first entry, {PATH!r}.", id="perfsuite_monitoring.E001"
            )
        ]
    if not places:
        message = "RequestMetricsMiddleware is not in MIDDLEWARE, so no request is measured."
        return [
            checks.Warning(message, hint=f"Put {PATH!r} first in MIDDLEWARE.", id="perfsuite_monitoring.W002")
        ]
    if places[0] != 0:
        number = places[0] + 1
        message = f"RequestMetricsMiddleware is number {number} in MIDDLEWARE; the time of those before it is not measured."
        return [
            checks.Warning(message, hint=f"Put {PATH!r} first in MIDDLEWARE.", id="perfsuite_monitoring.W001")
        ]
    return []
