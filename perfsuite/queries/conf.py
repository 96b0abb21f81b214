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
