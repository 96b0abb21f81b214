"""The database router of the metrics tables.

It is put in front of the host's routers by itself, so that ``migrate`` makes the tables on the store's alias and nothing of the
host's on a store of our own.
"""

from __future__ import annotations

from typing import Any

from django.conf import settings
from django.core.signals import setting_changed
from django.db import router
from django.db.models import Model

from perfsuite.metrics.storages.alias import AUTOMATIC_ALIAS, store_alias, store_is_automatic

APP_LABEL = "perfsuite_metrics"
PATH = "perfsuite.metrics.router.MetricsRouter"


class MetricsRouter:
    """Sends perfsuite's metrics tables to the store's alias, and nothing else to a store of our own."""

    def db_for_read(self, model: type[Model], **hints: Any) -> str | None:
        return store_alias() if model._meta.app_label == APP_LABEL else None

    db_for_write = db_for_read

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
