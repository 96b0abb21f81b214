"""The app config of the indexes app."""

from __future__ import annotations

from django.apps import AppConfig, apps

# How often the leader looks whether it is time; the setting says how often it is.
LOOK_EVERY_S = 60.0


class IndexesConfig(AppConfig):
    """Registers the options, the checks, the leader's job, and what follows a migration. Imports no app's ``indexes.py``."""

    name = "perfsuite.indexes"
    label = "perfsuite_indexes"
    verbose_name = "Indexes"

    def ready(self) -> None:
        from perfsuite import conf
        from perfsuite.indexes import checks, migrating  # noqa: F401 - checks register themselves
        from perfsuite.indexes.conf import IndexSettings
        from perfsuite.metrics import leader

        conf.register(IndexSettings)
        migrating.follow_migrate()
        leader.register_job("indexes.collect", LOOK_EVERY_S, _collect_if_due)
        if apps.is_installed("perfsuite.queries"):
            from perfsuite.indexes.advising import advise
            from perfsuite.queries.advisers import register_adviser

            register_adviser(advise)


def _collect_if_due() -> object:
    # Loaded by the process that leads, when it looks.
    from perfsuite.indexes import collecting

    return collecting.collect_if_due()
