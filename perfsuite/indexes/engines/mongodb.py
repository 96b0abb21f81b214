"""MongoDB: through django-mongodb-backend, through djongo, or by a client of perfsuite's own.

``createIndexes`` does nothing for an index that is there and joins a build that goes on, so two runs at once need no lock.
An index is hidden before it is dropped: hidden, it is kept up and not used, and can be shown again at once.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any, ClassVar

from django.db import connections
from django.utils.module_loading import import_string

from perfsuite.indexes.compare import Definition, Present, Rules, Wanted
from perfsuite.indexes.conf import IndexSettings
from perfsuite.indexes.engines import mongo_progress, mongo_specs, mongo_stats
from perfsuite.indexes.engines.base import (
    CHEAP_MS,
    Duplicates,
    Engine,
    Figures,
    Say,
    TableInfo,
    refused,
    unsupported,
)
from perfsuite.indexes.engines.mongo_stats import CollectionStats
from perfsuite.indexes.errors import DatabaseRefused, DeclarationError
from perfsuite.indexes.ownership import owner_of
from perfsuite.indexes.resolve import Resolved, Terms
from perfsuite.metrics.request import suppress
from perfsuite.optional import require

EXAMPLES = 3
AT_ONCE = 4
WAIT_MS = 5_000
# Some milliseconds of the server each: a second or so.
CHEAP_COLLECTIONS = 300
_UNAUTHORIZED, _NOT_PRIMARY, _DUPLICATE_KEY = mongo_stats.UNAUTHORIZED, 10107, 11000
_NOT_PRIMARY_ERRORS = ("NotPrimaryError", "NotMasterError")  # the driver of djongo has the older name


class MongoDB(Engine):
    """Talks to the server by pymongo alone, whichever way the host does."""

    label: ClassVar[str] = "MongoDB"
    terms: ClassVar[Terms] = Terms(documents=True, names_per_table=True)
    rules: ClassVar[Rules] = Rules(names_per_table=True, one_text=True, keys_identify=True)
    counts_since_made: ClassVar[bool] = True

    def __init__(self, alias: str) -> None:
        super().__init__(alias)
        self._client: Any = None
        self._found: Any = None
        self._stats: dict[str, CollectionStats] = {}

    @property
    def database(self) -> Any:
        """The database, a pymongo ``Database``."""
        if self._found is None:
            self._found = self._connected() if self.alias in connections else self._of_setting()
        return self._found

    def _connected(self) -> Any:
        connection: Any = connections[self.alias]
        connection.ensure_connection()
        return connection.connection if connection.vendor == "djongo" else connection.database

    def _of_setting(self) -> Any:
        place = IndexSettings.get().clients[self.alias]
        where = f"PERFSUITE['INDEXES']['CLIENTS'][{self.alias!r}]"
        if not isinstance(place, str) or "://" not in place:
            try:
                return (import_string(place) if isinstance(place, str) else place)()
            except (ImportError, TypeError) as exc:
                raise DeclarationError(
                    f"{where} is {place!r}, which is no function and no address; write 'mongodb://host:27017/name'."
                ) from exc
        pymongo = require("pymongo", extra="mongodb")
        name = require("pymongo.uri_parser", extra="mongodb").parse_uri(place)["database"]
        if not name:
            raise DeclarationError(f"{where} names no database; write 'mongodb://host:27017/name'.")
        self._client = pymongo.MongoClient(place, **self._patience(place))
        return self._client[name]

    @staticmethod
    def _patience(place: str) -> dict[str, int]:
        return {} if "serverSelectionTimeoutMS" in place else {"serverSelectionTimeoutMS": WAIT_MS}

    def close(self) -> None:
        """Close the client, if it is perfsuite's own."""
        if self._client is not None:
            self._client.close()
            self._client = self._found = None

    @contextmanager
    def session(self) -> Iterator[None]:
        """Record nothing that runs inside, and turn pymongo's errors into ``DatabaseRefused``."""
        errors: Any = require("pymongo.errors", extra="mongodb")
        try:
            with suppress():
                yield
        except errors.PyMongoError as exc:
            raise self._refused(exc, errors) from exc

    def _refused(self, exc: Any, errors: Any) -> DatabaseRefused:
        code = getattr(exc, "code", None)
        is_secondary = code == _NOT_PRIMARY or type(exc).__name__ in _NOT_PRIMARY_ERRORS
        if isinstance(exc, errors.ConnectionFailure) and not is_secondary:
            said = str(exc).split(",")[0].rstrip(". ")
            return DatabaseRefused(f"The database {self.alias!r} cannot be reached: {said}.")
        if code == _UNAUTHORIZED:
            return DatabaseRefused(
                f"The database {self.alias!r} does not permit it: grant its user the role dbAdmin or readWrite."
            )
        if is_secondary:
            return self._is_secondary()
        if code == _DUPLICATE_KEY:
            return DatabaseRefused(f"The database {self.alias!r} has duplicates that were written meanwhile.")
        return refused(self.alias, exc)

    def _is_secondary(self) -> DatabaseRefused:
        return DatabaseRefused(
            f"The database {self.alias!r} is a read-only replica; connect to the primary, or name the replica set."
        )

    def tables(self, names: Collection[str]) -> dict[str, TableInfo]:
        """Return all of the names: a collection that is not there comes with its first index. Views are told apart."""
        with self.session():
            kinds = {name: kind for name, kind in self._collections() if name in names}
            return {
                name: TableInfo(name, kinds.get(name, "collection"), is_there=name in kinds) for name in names
            }

    def _collections(self) -> list[tuple[str, str]]:
        found = self.database.list_collections(filter={})
        return [(each["name"], each.get("type", "collection")) for each in found]

    def present(self, names: Collection[str] | None = None, *, usage: bool = False) -> list[Present]:
        """Return the indexes; with ``usage`` their bytes, and how often they were used since when."""
        self._stats.clear()
        self.left_out = ""
        # collStats takes milliseconds of the server, which it can spend on several collections at once.
        with self.session(), self._threads() as threads:
            asked = self._with_indexes(names)
            sizes = not (self.spares_sizes and len(asked) > CHEAP_COLLECTIONS)
            if usage and not sizes:
                self.left_out = (
                    f"The sizes on {self.alias} were left out: of {len(asked):,} collections the server works out each; "
                    "add --sizes, or name collections."
                )
            each = threads.map(lambda found: self._of_collection(*found, usage=usage, sizes=sizes), asked)
            return owner_of([present for found in each for present in found])

    def figures(self, names: Collection[str] | None = None) -> list[Figures]:
        """Return the server's counts, sizes on disk, scans and writes, as ``present`` has read them if it was called before."""
        with self.session(), self._threads() as threads:
            every = threads.map(lambda found: self._stats_of(*found).figures, self._with_indexes(names))
            return [each for each in every if each is not None]

    def _with_indexes(self, names: Collection[str] | None) -> list[tuple[str, str]]:
        """Return name and kind of the collections that can have indexes; of very many, the first if it is to be cheap."""
        every = sorted(
            (name, kind)
            for name, kind in self._collections()
            if kind != "view" and not name.startswith("system.") and (names is None or name in names)
        )
        return every[:CHEAP_COLLECTIONS] if self.is_cheap else every

    @staticmethod
    def _threads() -> ThreadPoolExecutor:
        return ThreadPoolExecutor(AT_ONCE, thread_name_prefix="perfsuite-indexes")

    def _stats_of(self, name: str, kind: str) -> CollectionStats:
        if name not in self._stats:
            max_ms = CHEAP_MS if self.is_cheap else None
            self._stats[name] = mongo_stats.read(self.database, name, kind, max_ms)
        return self._stats[name]

    def _of_collection(self, name: str, kind: str, *, usage: bool, sizes: bool) -> list[Present]:
        stats = CollectionStats()
        if usage:
            stats = self._stats_of(name, kind) if sizes else mongo_stats.read_uses(self.database, name, kind)
        specs = self._specs(name) if stats.specs is None else stats.specs
        return [
            mongo_specs.present(name, spec, stats.sizes.get(spec["name"]), stats.uses.get(spec["name"]))
            for spec in specs
        ]

    def _specs(self, name: str) -> list[dict[str, Any]]:
        errors: Any = require("pymongo.errors", extra="mongodb")
        try:
            return [dict(each) for each in self.database[name].list_indexes()]
        except errors.OperationFailure as exc:
            if exc.code == mongo_stats.NAMESPACE_NOT_FOUND:  # dropped meanwhile
                return []
            raise

    def translate(self, resolved: Resolved) -> Wanted:
        """Return the index as ``createIndexes`` takes it, and as one types it in mongosh."""
        connection = connections[self.alias] if self.alias in connections else None  # noqa: SIM401 - it is no dict
        spec, note = mongo_specs.specification(resolved, connection)
        definition: Definition = mongo_specs.definition(spec)
        if reason := mongo_specs.cannot(resolved.index):
            return unsupported(definition, resolved, reason)
        statement = mongo_specs.in_mongosh(resolved.table, spec)
        return Wanted(
            resolved.table,
            resolved.name,
            definition,
            statement,
            "",
            note,
            resolved.source,
            resolved.app,
            spec,
        )

    def require_writable(self, tables: Collection[str]) -> None:
        """Raise for a secondary, and for a user without the right to make indexes."""
        with self.session():
            hello = self.database.client.admin.command("hello")
            if not hello.get("isWritablePrimary", True):
                raise self._is_secondary()
            status = self.database.client.admin.command("connectionStatus", showPrivileges=True)
        info = status["authInfo"]
        if not info.get("authenticatedUsers"):
            return
        for table in sorted(tables):
            if not any(
                _permits(privilege, self.database.name, table)
                for privilege in info["authenticatedUserPrivileges"]
            ):
                user = info["authenticatedUsers"][0]["user"]
                raise DatabaseRefused(
                    f"The user {user!r} may not make indexes on {table!r}; grant it the role readWrite or dbAdmin on "
                    f"{self.database.name!r}."
                )

    def duplicates(self, wanted: Wanted) -> Duplicates | None:
        """Count the keys that are there more than once; a missing field counts as null, as it does for the index."""
        spec = wanted.recipe
        fields = list(spec["key"])
        match: Any = spec.get("partialFilterExpression", {})
        if spec.get("sparse"):
            match = {"$or": [{field: {"$exists": True}} for field in fields]}
        grouped: list[Mapping[str, Any]] = [
            {"$match": match},
            {
                "$group": {
                    "_id": [{"$ifNull": [f"${field}", None]} for field in fields],
                    "rows": {"$sum": 1},
                }
            },
            {"$match": {"rows": {"$gt": 1}}},
        ]
        options = {"allowDiskUse": True}
        if collation := spec.get("collation"):
            options["collation"] = collation
        with self.session():
            collection = self.database[wanted.table]
            examples = list(
                collection.aggregate([*grouped, {"$sort": {"rows": -1}}, {"$limit": EXAMPLES}], **options)
            )
            if not examples:
                return None
            (counted,) = collection.aggregate([*grouped, {"$count": "keys"}], **options)
        return Duplicates(counted["keys"], tuple((tuple(each["_id"]), each["rows"]) for each in examples))

    def create(self, wanted: Wanted, found: Present | None, say: Say) -> None:
        """Make the index, or show a hidden one again."""
        with self.session():
            if found is not None and found.hidden:
                self._hide(wanted.table, found.name, hidden=False)
                return
            with mongo_progress.told(self.database, wanted.table, say):
                self.database.command("createIndexes", wanted.table, indexes=[wanted.recipe])

    def drop(self, present: Present, say: Say) -> str:
        """Hide an index; drop it if it is hidden already."""
        with self.session():
            if present.hidden:
                self.database[present.table].drop_index(present.name)
                return "dropped"
            self._hide(present.table, present.name, hidden=True)
        return "hidden: nothing uses it any more, and setup_indexes shows it again if it is declared; type it again to drop it"

    def _hide(self, table: str, name: str, *, hidden: bool) -> None:
        self.database.command("collMod", table, index={"name": name, "hidden": hidden})


def _permits(privilege: Mapping[str, Any], database: str, collection: str) -> bool:
    resource = privilege["resource"]
    if "createIndex" not in privilege["actions"]:
        return False
    if resource.get("anyResource"):
        return True
    return resource.get("db") in ("", database) and resource.get("collection") in ("", collection)
