"""The options of ``PERFSUITE["QUERIES"]``."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from perfsuite.conf import Section, option


@dataclass(frozen=True)
class QuerySettings(Section):
    """What counts as slow."""

    section: ClassVar[str] = "QUERIES"

    slow_query_ms: float = option(
        100.0,
        env="SLOW_QUERY_THRESHOLD",
        minimum=0,
        help="Milliseconds from which on a statement is slow: counted as such and logged.",
    )
    explain_timeout_ms: int = option(
        5_000, minimum=10, maximum=60_000, help="Milliseconds within which a database must give a plan."
    )
    explain_analyze: bool = option(
        False,
        help="Whether a plan that is asked for on PostgreSQL comes from running the statement, in a transaction that can only "
        "read; its functions are then called.",
    )
    explain_daily: bool = option(
        False, help="Whether each slow statement is explained once a day, by one process of all servers."
    )
    explain_scan_rows: int = option(
        10_000,
        minimum=1,
        help="Rows from which on a table that is read whole, for a filter that no index serves, misses an index.",
    )
    explain_mongodb_url: str = option(
        "",
        help="Server of your own MongoDB clients, those of none of DATABASES, to explain their commands on.",
    )
