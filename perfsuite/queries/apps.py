"""The app config of the queries app."""

from __future__ import annotations

from typing import Any

from django.apps import AppConfig

from perfsuite.optional import available


class QueriesConfig(AppConfig):
    """Registers the options, the execute wrapper of every connection, and the listeners of every MongoDB client."""

    name = "perfsuite.queries"
    label = "perfsuite_queries"
    verbose_name = "Query performance"

    def __init__(self, app_name: str, app_module: Any) -> None:
        super().__init__(app_name, app_module)
        # Before any app's models are imported: a client that is made there would not be observed.
        self._observe_mongodb()

    def ready(self) -> None:
        from perfsuite import conf
        from perfsuite.queries import checks, pools, sql, tenant_guard  # noqa: F401 - checks register themselves
        from perfsuite.queries.conf import QuerySettings

        conf.register(QuerySettings)
        sql.follow_settings()
        tenant_guard.follow_settings()
        pools.install()

    @staticmethod
    def _observe_mongodb() -> None:
        from perfsuite.metrics.conf import MetricsSettings

        if available("pymongo") and MetricsSettings.get().enabled:
            from perfsuite.queries import mongo

            mongo.register()
