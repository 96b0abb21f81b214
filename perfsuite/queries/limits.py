"""The limits of the options, where the hot path reads them: as numbers, put here when the settings change."""

from __future__ import annotations

from dataclasses import dataclass

from django.conf import settings

from perfsuite.queries.conf import QuerySettings


@dataclass
class Limits:
    """From where on something is worth a finding; ``sample_every`` is 0 where no request is sampled."""

    rows: int = 1_000
    large: int = 100_000
    slow_s: float = 0.1
    long_s: float = 1.0
    wide_rows: int = 100
    sample_every: int = 0

    def follow(self, options: QuerySettings) -> None:
        """Take over the options; with DEBUG, every request is sampled."""
        self.rows, self.large = options.unbounded_rows, options.large_table_rows
        self.slow_s, self.long_s = options.slow_query_ms / 1e3, options.long_transaction_ms / 1e3
        self.wide_rows = options.wide_rows
        self.sample_every = 1 if settings.DEBUG else options.wide_rows_sample


limits = Limits()
