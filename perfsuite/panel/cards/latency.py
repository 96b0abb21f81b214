"""The response times of the site over time, with the line that they should stay under."""

from __future__ import annotations

from perfsuite.panel.cards.base import CardContext, CardData, chart, ms
from perfsuite.panel.conf import PanelSettings

PERCENTILES = (("p50", 0.50), ("p95", 0.95), ("p99", 0.99))


class Latency:
    """p50, p95 and p99 of all requests."""

    id = "latency"
    title = "Response time"

    def data(self, view: CardContext) -> CardData:
        """Return the chart; a step without requests is a gap."""
        points = view.requests
        lines = [
            (name, name, [ms(point.quantile(q)) if point.count else None for point in points])
            for name, q in PERCENTILES
        ]
        target = PanelSettings.get().p95_target_ms
        threshold = (target, f"p95 target {target:g} ms")
        return chart(self, view, lines, unit="ms", width="wide", threshold=threshold)
