"""The options of ``PERFSUITE["PANEL"]``."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from perfsuite.conf import Section, option

DEFAULT_CARDS = (
    "perfsuite.panel.cards.overview.Overview",
    "perfsuite.panel.cards.latency.Latency",
    "perfsuite.panel.cards.throughput.Throughput",
    "perfsuite.panel.cards.routes.Routes",
    "perfsuite.panel.cards.time.TimeSplit",
    "perfsuite.panel.cards.queries.ExpensiveQueries",
    "perfsuite.panel.cards.queries.SlowestQueries",
    "perfsuite.panel.cards.responses.Figures",
    "perfsuite.panel.cards.responses.Outcomes",
    "perfsuite.panel.cards.responses.Reasons",
    "perfsuite.panel.cards.responses.Missed",
    "perfsuite.panel.cards.compression.Compression",
    "perfsuite.panel.cards.caching.Breaker",
    "perfsuite.panel.cards.caching.Figures",
    "perfsuite.panel.cards.caching.Answers",
    "perfsuite.panel.cards.caching.Prefixes",
    "perfsuite.panel.cards.caching.Memory",
    "perfsuite.panel.cards.caching.Caches",
    "perfsuite.panel.cards.pools.Pools",
    "perfsuite.panel.cards.pools.Databases",
    "perfsuite.panel.cards.operations.Operations",
    "perfsuite.panel.cards.health.Health",
)


@dataclass(frozen=True)
class PanelSettings(Section):
    """What the panel shows and what it holds the site to."""

    section: ClassVar[str] = "PANEL"

    cards: tuple[str, ...] = option(
        DEFAULT_CARDS, help="Dotted paths of the panel's cards, in their order on the page."
    )
    poll_s: int = option(5, minimum=1, maximum=3_600, help="Seconds between two polls of an open page.")
    p95_target_ms: float = option(
        200.0, minimum=0, help="Milliseconds within which 95 % of the requests should be answered."
    )
    database_target_ms: float = option(
        100.0, minimum=0, help="Milliseconds within which 95 % of the statements should be done."
    )
    error_target_percent: float = option(
        5.0, minimum=0, maximum=100, help="Percent of the requests that may end in a server error (5xx)."
    )
    cache_hit_rate_target_percent: float = option(
        95.0, minimum=0, maximum=100, help="Percent of the reads of caches that should find something."
    )
