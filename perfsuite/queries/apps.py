"""The app config of the queries app."""

from __future__ import annotations

import sys
from typing import Any

from django.apps import AppConfig

from perfsuite.optional import available

EXPLAIN_EVERY_S = 60.0


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

        conf.register(QuerySettings)
        sql.follow_settings()
        tenant_guard.follow_settings()
        pools.install()
        leader.register_job("queries.explain", EXPLAIN_EVERY_S, _explain_slow)
        runs.register_kind(kinds.OUTSIDE)
        runs.register_subjects(kinds.FINGERPRINT, ("fingerprint", "alias", "route"))

    @staticmethod
    def _observe_mongodb() -> None:
        from perfsuite.metrics.conf import MetricsSettings

        # A client that a test makes is observed in any case: perfsuite.testing may ask, and it is too late then.
        if available("pymongo") and (MetricsSettings.get().enabled or _is_tested()):
            from perfsuite.queries import mongo

            mongo.register()


def _explain_slow() -> object:
    # Loaded by the process that leads, when it is due: it is a third of what the app imports.
    from perfsuite.queries.explain import daily

    return daily.explain_slow()


def _is_tested() -> bool:
    """Tell whether this process is there to run tests; its test environment is not set up yet."""
    return "pytest" in sys.modules or sys.argv[1:2] == ["test"]
