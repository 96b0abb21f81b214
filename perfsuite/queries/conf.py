"""The options of ``PERFSUITE["QUERIES"]``."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from perfsuite.conf import Section, option


@dataclass(frozen=True)
class QuerySettings(Section):
    """What counts as slow, as large and as long."""

    section: ClassVar[str] = "QUERIES"

    slow_query_ms: float = option(
        100.0,
        env="SLOW_QUERY_THRESHOLD",
        minimum=0,
        help="Milliseconds from which on a statement is slow: counted as such and logged.",
    )
    unbounded_rows: int = option(
        1_000,
        minimum=1,
        help="Rows above which a SELECT without a LIMIT, in a request, is a finding.",
    )
    large_table_rows: int = option(
        100_000,
        minimum=1,
        help="Rows from which on a COUNT(*) before a page of the same rows is a finding; so is one that is slow.",
    )
    long_transaction_ms: float = option(
        1_000.0,
        minimum=0,
        help="Milliseconds from which on a transaction held open in a request is a finding.",
    )
    wide_rows: int = option(
        100,
        minimum=1,
        help="Rows of a model from which on a request is told which of their columns it did not use.",
    )
    wide_rows_sample: int = option(
        100,
        minimum=0,
        help="One request in so many is watched for the columns that it uses; with DEBUG, every one. 0: none, ever.",
    )
