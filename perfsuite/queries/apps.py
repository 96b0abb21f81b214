"""The app config of the queries app."""

from __future__ import annotations

from django.apps import AppConfig


class QueriesConfig(AppConfig):
    """Registers the options and installs the execute wrapper on every connection."""

    name = "perfsuite.queries"
    label = "perfsuite_queries"
    verbose_name = "Query performance"

    def ready(self) -> None:
        from perfsuite import conf
        from perfsuite.queries import sql
        from perfsuite.queries.conf import QuerySettings

        conf.register(QuerySettings)
        sql.follow_settings()
