"""The database router of the metrics tables.

It is put in front of the host's routers by itself, so that ``migrate`` makes the tables on the store's alias and nothing of the
host's on a store of our own.
"""

from __future__ import annotations

from typing import Any

from django.conf import settings
from django.core.signals import setting_changed
from django.db import router

from perfsuite.metrics.storages.alias import AUTOMATIC_ALIAS, store_alias, store_is_automatic

APP_LABEL = "perfsuite_metrics"
PATH = "perfsuite.metrics.router.MetricsRouter"


class MetricsRouter:
    """Has ``migrate`` make perfsuite's metrics tables on the store's alias, and nothing else on a store of our own.

    Rows find their alias without it (``models.StoreManager``): Django asks each router several times for each statement of the
    host. This one says "" there, "no opinion", by a method of the interpreter's that takes any arguments; leaving the method
    out, or writing it in Python, costs a microsecond for each statement.
    """

    db_for_read = db_for_write = "".format

    def allow_migrate(self, db: str, app_label: str, **hints: Any) -> bool | None:
        if app_label == APP_LABEL:
            return db == store_alias()
        if db == AUTOMATIC_ALIAS and store_is_automatic():
            return False
        return None


def install() -> None:
    """Put the router first, once."""
    if not any(isinstance(each, MetricsRouter) for each in router.routers):
        router.routers.insert(0, MetricsRouter())


def _on_setting_changed(*, setting: str, **kwargs: object) -> None:
    if setting == "DATABASE_ROUTERS":
        install()
        # Django's own receiver, which may come later, makes the routers anew from the setting.
        if PATH not in settings.DATABASE_ROUTERS:
            settings.DATABASE_ROUTERS = [PATH, *settings.DATABASE_ROUTERS]


setting_changed.connect(_on_setting_changed, dispatch_uid="perfsuite.metrics.router")
