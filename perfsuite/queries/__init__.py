"""Times every SQL statement and every MongoDB command, tells the slow ones, and watches connection pools."""

from __future__ import annotations

default_app_config = "perfsuite.queries.apps.QueriesConfig"
