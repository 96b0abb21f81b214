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
        from perfsuite.metrics import leader, runs
        from perfsuite.queries import checks, kinds, pools, sql, tenant_guard  # noqa: F401 - checks register themselves
        from perfsuite.queries.conf import QuerySettings
        from perfsuite.queries.explain import daily

        conf.register(QuerySettings)
        sql.follow_settings()
        tenant_guard.follow_settings()
        pools.install()
        leader.register_job("queries.explain", daily.EVERY_S, daily.explain_slow)
        runs.register_kind(kinds.OUTSIDE)

    @staticmethod
    def _observe_mongodb() -> None:
        from perfsuite.metrics.conf import MetricsSettings

        if available("pymongo") and MetricsSettings.get().enabled:
            from perfsuite.queries import mongo

            mongo.register()
