"""How many requests the site answers, and how they end."""

from __future__ import annotations

from perfsuite.panel.cards.base import CardContext, CardData, chart

# From the bottom of the stack to its top. Others than these are shown after them.
ORDER = ("2xx", "3xx", "4xx", "5xx", "cancelled")


class Throughput:
    """Requests per minute, stacked by status class."""

    id = "throughput"
    title = "Throughput"

    def data(self, view: CardContext) -> CardData:
        """Return the chart. The last steps are gaps until their numbers are complete, so that it does not end in a false fall."""
        found = view.requests_by_status
        names = [name for name in ORDER if name in found] + sorted(set(found) - set(ORDER))
        layers = [(name, name, view.per_minute(found[name])) for name in names]
        empty = "The first complete step comes in a moment." if names else "No requests in this range yet."
        return chart(
            self, view, layers, unit="", hint="requests / min", width="narrow", stacked=True, empty=empty
        )
