"""A suite of Django apps that makes a site fast and keeps it fast.

Importing this package imports no Django, so that a settings module can use ``APPS``.
"""

from __future__ import annotations

__version__ = "0.1.0"

APPS = (
    "perfsuite.metrics",
    "perfsuite.tenancy",
    "perfsuite.monitoring",
    "perfsuite.queries",
    "perfsuite.caching",
    "perfsuite.responses",
    "perfsuite.indexes",
    "perfsuite.panel",
)

__all__ = ["APPS", "__version__"]
