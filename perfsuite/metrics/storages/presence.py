"""Whether there is a store at all: for commands that only read it, and must not take "nothing is there" for "all is well"."""

from __future__ import annotations

import os

from django.db import connections

from perfsuite.exceptions import StoreUnavailable
from perfsuite.metrics.models import Finding
from perfsuite.metrics.request import suppress
from perfsuite.metrics.storages import get_storage
from perfsuite.metrics.storages.access import explaining
from perfsuite.metrics.storages.alias import SQLITE, store_alias, store_is_automatic
from perfsuite.metrics.storages.orm import ORMStorage


def require_tables() -> None:
    """Raise ``StoreUnavailable``, in one sentence, where the store's tables are not there. Makes none, and no file.

    Reading would make those of a SQLite host's own store, and MongoDB reads a collection that is missing as an empty one.
    """
    if not isinstance(get_storage(), ORMStorage):
        return
    alias = store_alias()
    with suppress(), explaining(alias):
        connection = connections[alias]
        name = str(connection.settings_dict["NAME"])
        is_file = connection.settings_dict["ENGINE"] == SQLITE and not connection.is_in_memory_db()  # type: ignore[attr-defined]
        if (
            not is_file or os.path.exists(name)
        ) and Finding._meta.db_table in connection.introspection.table_names():
            return
    if store_is_automatic():
        raise StoreUnavailable(
            f"Nothing was recorded yet: the metrics store {name!r} is not there; let the site answer some requests."
        )
    raise StoreUnavailable(
        f"The metrics tables are missing on the database {alias!r}; type: python manage.py migrate --database {alias}"
    )
