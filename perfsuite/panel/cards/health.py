"""What perfsuite itself costs and loses: nobody should have to believe that a monitor is cheap."""

from __future__ import annotations

from perfsuite.metrics.histogram import Histogram
from perfsuite.panel.cards.base import CardContext, CardData, Tile, merged, ms, percent, tiles


class Health:
    """Time per request, flushes, and what was dropped, folded or failed."""

    id = "health"
    title = "perfsuite itself"

    def data(self, view: CardContext) -> CardData:
        """Return the tiles."""
        read, window = view.read, view.window
        own, flushes = read.totals("self.request", window), read.totals("self.flush", window)
        requests = merged(view.requests)
        return tiles(
            self,
            [
                Tile(
                    "own_time",
                    "Per request",
                    round(own.mean, 1) if own.count else None,
                    unit="µs",
                    hint="average",
                ),
                Tile(
                    "own_share",
                    "Share of time",
                    percent(own.sum, requests.sum) if own.count else None,
                    unit="%",
                    hint="of the response time",
                ),
                Tile(
                    "flush",
                    "Flush",
                    ms(flushes.quantile(0.95)) if flushes.count else None,
                    unit="ms",
                    hint="p95, outside requests",
                ),
                _losses("dropped", "Dropped", read.totals("self.dropped", window), "values lost"),
                _losses("folded", "Folded", read.totals("self.folded", window), "values in <other>"),
                _losses("failures", "Hook failures", read.totals("self.failures", window), "see the log"),
            ],
            hint="its own cost, measured like everything else",
            size="small",
        )


def _losses(name: str, label: str, counter: Histogram, hint: str) -> Tile:
    return Tile(name, label, round(counter.sum), digits=0, target=0, hint=hint)
