"""Remembers numbers: recorder, store, compaction, and the read side that the panel uses.

``flush()`` writes what this process has measured now; ``suppress()`` records nothing that runs inside.
"""

from __future__ import annotations

from perfsuite.metrics.request import suppress

default_app_config = "perfsuite.metrics.apps.MetricsConfig"

__all__ = ["flush", "suppress"]


def flush() -> bool:
    """Write what this process has measured into the store now; return whether it is all there. Never raises."""
    from perfsuite.metrics.flusher import flusher

    return flusher.flush()
