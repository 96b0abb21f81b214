"""Times every SQL statement and tells the slow ones."""

from __future__ import annotations

default_app_config = "perfsuite.queries.apps.QueriesConfig"
