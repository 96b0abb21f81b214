"""``APPLY_ON_MIGRATE``: what is missing is created after ``manage.py migrate``. A failure is told and stops no migration."""

from __future__ import annotations

import logging
from typing import Any

from django.apps import apps
from django.db import connections
from django.db.models.signals import post_migrate

from perfsuite.exceptions import PerfsuiteError
from perfsuite.indexes import applying
from perfsuite.indexes.conf import IndexSettings
from perfsuite.indexes.engines import opened

logger = logging.getLogger("perfsuite.indexes")


def follow_migrate() -> None:
    """Be called after each migration."""
    post_migrate.connect(_after_migrate, dispatch_uid="perfsuite.indexes")


def _after_migrate(*, app_config: Any, using: str, **kwargs: Any) -> None:
    if not IndexSettings.get().apply_on_migrate or app_config is not _last():
        return
    if connections[using].in_atomic_block:
        logger.warning("No indexes were created on %s: the migration ran inside a transaction.", using)
        return
    try:
        with opened(using) as engine:
            applying.apply(engine, say=_say, done=_done, skip_missing=True)
    except PerfsuiteError as exc:
        logger.error("Not all indexes were created on %s. %s", using, exc)


def _last() -> Any:
    """Return the app that is told last of a migration, when all tables are there."""
    return [config for config in apps.get_app_configs() if config.models_module is not None][-1]


def _say(text: str) -> None:
    logger.info("%s", text)


def _done(made: applying.Created) -> None:
    logger.info("Created %s on %s in %.1f s.", made.change.name, made.change.table, made.seconds)
