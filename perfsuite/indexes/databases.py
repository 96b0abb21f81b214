"""The databases that can have indexes: those of ``DATABASES``, and MongoDB's in ``PERFSUITE["INDEXES"]["CLIENTS"]``."""

from __future__ import annotations

from django.db import connections

from perfsuite.indexes.conf import IndexSettings


def aliases() -> list[str]:
    """Return their names, which ``--database`` takes."""
    return [*connections, *(name for name in IndexSettings.get().clients if name not in connections)]
