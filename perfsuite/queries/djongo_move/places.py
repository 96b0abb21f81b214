"""Finds MongoDB databases by an alias of ``DATABASES`` or by an address, for commands."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING, Any

from django.conf import settings
from django.core.management.base import CommandError
from django.db import connections

from perfsuite.exceptions import PerfsuiteError
from perfsuite.optional import require

if TYPE_CHECKING:
    from pymongo.database import Database as MongoDatabase

    Database = MongoDatabase[dict[str, Any]]

NEW_ENGINE = "django_mongodb_backend"
WAIT_MS = 5_000


@contextmanager
def databases() -> Iterator[Callable[[str], Database]]:
    """Yield a function that returns the database of a place: ``mongodb://host:port/name`` or an alias of ``DATABASES``.

    The clients that it makes are closed with the block. What goes wrong in the block between the command and its
    databases is raised as CommandError.
    """
    try:
        pymongo = require("pymongo", extra="mongodb")
        errors: Any = require("pymongo.errors", extra="mongodb")
        with ExitStack() as clients:
            try:
                yield lambda place: _database(pymongo, place, clients)
            except errors.PyMongoError as exc:
                raise CommandError(f"MongoDB refused: {exc}") from exc
    except PerfsuiteError as exc:
        raise CommandError(str(exc)) from exc


def require_the_new_backend(alias: str) -> None:
    """Raise CommandError unless ``alias`` is on django-mongodb-backend."""
    if settings.DATABASES.get(alias, {}).get("ENGINE") != NEW_ENGINE:
        raise CommandError(
            f"The alias {alias!r} is not on django-mongodb-backend; type this in the new environment, with the new "
            "settings."
        )


def are_the_same(first: Database, second: Database) -> bool:
    """Tell whether both are one database of one server, as far as their addresses say it."""
    hosts = [set(each.client.topology_description.server_descriptions()) for each in (first, second)]
    return first.name == second.name and bool(hosts[0] & hosts[1])


def _database(pymongo: Any, place: str, clients: ExitStack) -> Database:
    if "://" in place:
        try:
            name = pymongo.uri_parser.parse_uri(place)["database"]
        except (pymongo.errors.PyMongoError, ValueError) as exc:
            raise CommandError(f"{place!r} is no address of a MongoDB database: {exc}.") from exc
        if not name:
            raise CommandError(f"{place!r} names no database; type mongodb://host:27017/name.")
        return _new_client(pymongo, clients, host=place)[name]  # type: ignore[no-any-return] # pymongo is imported late
    entry = settings.DATABASES.get(place)
    if entry is None:
        raise CommandError(
            f"{place!r} is neither an alias of DATABASES nor an address; type one of "
            f"{', '.join(sorted(settings.DATABASES))}, or mongodb://host:27017/name."
        )
    if entry["ENGINE"] == NEW_ENGINE:
        return connections[place].database  # type: ignore[no-any-return, attr-defined] # the backend's own attribute
    if entry["ENGINE"] == "djongo":
        return _new_client(pymongo, clients, **entry.get("CLIENT", {}))[entry["NAME"]]  # type: ignore[no-any-return] # see above
    raise CommandError(
        f"The alias {place!r} is on {entry['ENGINE']}, not on MongoDB; type mongodb://host:27017/name."
    )


def _new_client(pymongo: Any, clients: ExitStack, **options: Any) -> Any:
    client = pymongo.MongoClient(**{"serverSelectionTimeoutMS": WAIT_MS, **options})
    clients.callback(client.close)
    return client
