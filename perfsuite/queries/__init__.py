"""Times every SQL statement and every MongoDB command, tells the slow ones, and watches connection pools."""

from __future__ import annotations

from perfsuite.queries.outside import track

__all__ = ["track"]

default_app_config = "perfsuite.queries.apps.QueriesConfig"
