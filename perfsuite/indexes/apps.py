"""The app config of the indexes app."""

from __future__ import annotations

from django.apps import AppConfig


class IndexesConfig(AppConfig):
    """Registers the options, the checks, and what follows a migration. Imports no app's ``indexes.py``."""

    name = "perfsuite.indexes"
    label = "perfsuite_indexes"
    verbose_name = "Indexes"

    def ready(self) -> None:
        from perfsuite import conf
        from perfsuite.indexes import checks, migrating  # noqa: F401 - checks register themselves
        from perfsuite.indexes.conf import IndexSettings

        conf.register(IndexSettings)
        migrating.follow_migrate()
