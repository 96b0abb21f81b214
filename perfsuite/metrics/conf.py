"""The options of ``PERFSUITE["METRICS"]``."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from perfsuite.conf import Section, option


@dataclass(frozen=True)
class MetricsSettings(Section):
    """What is kept, where and for how long."""

    section: ClassVar[str] = "METRICS"

    enabled: bool = option(
        True,
        env="ENABLE_PERFORMANCE_MONITORING",
        help="Whether anything is measured at all; off means that no hook is installed.",
    )
    database: str = option(
        "",
        help="Alias in DATABASES where the numbers are kept. Empty: on a SQLite host a file of its own beside the host's, "
        "under the alias 'perfsuite'; elsewhere 'default'.",
    )
    storage: str = option(
        "perfsuite.metrics.storages.orm.ORMStorage",
        help="Dotted path of the class that keeps the numbers.",
    )
    flush_interval_s: float = option(
        10.0, minimum=1, maximum=60, help="Seconds between two flushes of a process."
    )
    max_pending_rows: int = option(
        10_000,
        minimum=100,
        help="Rows that a process keeps while the store is away; the oldest beyond it are dropped and counted.",
    )
    hook_failure_limit: int = option(
        10,
        minimum=1,
        help="Failures inside one hook within an hour after which it is switched off in that process.",
    )
    keep_10s_s: int = option(1_200, minimum=600, help="Seconds that the 10-second rows are kept.")
    keep_1m_s: int = option(6 * 3_600, minimum=1_200, help="Seconds that the 1-minute rows are kept.")
    keep_10m_s: int = option(2 * 86_400, minimum=7_200, help="Seconds that the 10-minute rows are kept.")
    keep_1h_s: int = option(90 * 86_400, minimum=2 * 86_400, help="Seconds that the 1-hour rows are kept.")
    keep_1d_s: int = option(400 * 86_400, minimum=2 * 86_400, help="Seconds that the 1-day rows are kept.")

    def keep_s(self, resolution_s: int) -> int:
        """Return how many seconds the rows of a resolution are kept."""
        return {
            10: self.keep_10s_s,
            60: self.keep_1m_s,
            600: self.keep_10m_s,
            3_600: self.keep_1h_s,
            86_400: self.keep_1d_s,
        }[resolution_s]
