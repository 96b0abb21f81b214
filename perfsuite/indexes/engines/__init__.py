"""Finds the engine of a database: by the alias of ``DATABASES``, or by a name in ``PERFSUITE["INDEXES"]["CLIENTS"]``."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import cast

from django.db import connections
from django.utils.module_loading import import_string

from perfsuite.indexes.conf import IndexSettings
from perfsuite.indexes.databases import aliases
from perfsuite.indexes.engines.base import Engine
from perfsuite.indexes.errors import DatabaseRefused, DeclarationError, did_you_mean

_OURS = {
    "sqlite": "perfsuite.indexes.engines.sqlite.SQLite",
    "postgresql": "perfsuite.indexes.engines.postgresql.PostgreSQL",
    "mongodb": "perfsuite.indexes.engines.mongodb.MongoDB",
    "djongo": "perfsuite.indexes.engines.mongodb.MongoDB",
    "mysql": "perfsuite.indexes.engines.mysql.MySQL",
}
_OTHER = "perfsuite.indexes.engines.other.Other"


@contextmanager
def opened(alias: str) -> Iterator[Engine]:
    """Yield the engine of a database, and close what it opened of its own. Raises as ``get_engine`` does."""
    engine = get_engine(alias)
    try:
        yield engine
    finally:
        engine.close()


def get_engine(alias: str) -> Engine:
    """Return the engine of a database. Connects to nothing. Raises ``DatabaseRefused`` for a name that nothing has."""
    if alias not in aliases():
        raise DatabaseRefused(
            f"{alias!r} is neither in DATABASES nor in PERFSUITE['INDEXES']['CLIENTS']; {did_you_mean(alias, aliases())}"
        )
    vendor = connections[alias].vendor if alias in connections else "mongodb"
    paths = {**_OURS, **IndexSettings.get().engines}
    try:
        made = import_string(paths.get(vendor, _OTHER))
    except ImportError as exc:
        raise DeclarationError(
            f"The engine {paths[vendor]!r} for {vendor} cannot be imported: {exc}."
        ) from exc
    return cast(Engine, made(alias))
