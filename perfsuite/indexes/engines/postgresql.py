"""PostgreSQL. Indexes are built CONCURRENTLY: writes go on, and the invalid index that a cut off build leaves is dropped.

Runs hold each other off with an advisory lock that is asked for again and again, never waited for: a session that waits inside
the server would be a transaction that a build of another session has to wait for.
"""

from __future__ import annotations

import logging
import time
import zlib
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, ClassVar

import django.db
from django.db import transaction

from perfsuite.indexes.canonical import canonical
from perfsuite.indexes.compare import Column, Definition, Present, Wanted
from perfsuite.indexes.conf import IndexSettings
from perfsuite.indexes.engines import pg_catalog, pg_progress
from perfsuite.indexes.engines.base import CHEAP_MS, Figures, Say, TableInfo, refused, unsupported
from perfsuite.indexes.engines.sql import REHEARSAL, SQLEngine
from perfsuite.indexes.errors import DatabaseRefused, DeclarationError
from perfsuite.indexes.resolve import Resolved, Terms
from perfsuite.indexes.spec import Index, Key

logger = logging.getLogger("perfsuite.indexes")

LOCK_KEY = zlib.crc32(b"perfsuite.indexes")
ASK_AGAIN_S = 1.0
SAY_AGAIN_S = 15.0
CLEAN_UP_MS = 1_000
_NOT_AVAILABLE, _UNIQUE_VIOLATION, _NO_PRIVILEGE, _READ_ONLY, _CANCELLED = (
    "55P03",
    "23505",
    "42501",
    "25006",
    "57014",
)
_METHODS = {"text": "gin", "gin": "gin", "hashed": "hash"}


@dataclass
class _Server:
    """What is asked of a server once: its extensions and collations matter to what it can do."""

    extensions: frozenset[str]
    collations: frozenset[str]


class PostgreSQL(SQLEngine):
    """Reads the catalogs, and builds and drops concurrently."""

    label: ClassVar[str] = "PostgreSQL"
    terms: ClassVar[Terms] = Terms(name_limit=63)

    def __init__(self, alias: str) -> None:
        super().__init__(alias)
        self._server: _Server | None = None

    def tables(self, names: Collection[str]) -> dict[str, TableInfo]:
        """Return what of the names the search path finds, with its columns."""
        with self.session():
            rows = self.rows(pg_catalog.TABLES, [list(names)])
            kinds = pg_catalog.KINDS
            return {
                name: TableInfo(name, kinds.get(kind, "relation"), tuple(columns))
                for name, kind, columns in rows
            }

    def present(self, names: Collection[str] | None = None, *, usage: bool = False) -> list[Present]:
        """Return the indexes, with their sizes and scans."""
        with self._reading_catalogs():
            return self.owned(pg_catalog.read(self.rows, names))

    def figures(self, names: Collection[str] | None = None) -> list[Figures]:
        """Return the server's estimates of rows, sizes on disk, and counters."""
        with self._reading_catalogs():
            return pg_catalog.figures(self.rows, names)

    @contextmanager
    def _reading_catalogs(self) -> Iterator[None]:
        with self.session(), transaction.atomic(using=self.alias):
            # It takes as long as the query, which looks expensive and is not.
            self.execute("SET LOCAL jit = off")
            if self.is_cheap:
                self.execute(f"SET LOCAL statement_timeout = {CHEAP_MS}")
            yield

    def translate(self, resolved: Resolved) -> Wanted:
        """Return the statement that builds the index concurrently."""
        index = resolved.index
        where = self.condition(resolved)
        collation = _collation(index)
        expressions, columns = self._keys(resolved, collation)
        definition = Definition(
            columns,
            index.unique,
            _METHODS.get(index.kind, "btree"),
            canonical(where),
            tuple(resolved.columns[name] for name in index.include),
            collation,
            (("opclass", index.opclass),) if index.opclass else (),
        )
        if reason := self._cannot(index, collation):
            return unsupported(definition, resolved, reason)
        ordered = [
            e + (f" {index.opclass}" if index.opclass else "") + (" DESC" if c.order == "desc" else "")
            for e, c in zip(expressions, columns, strict=True)
        ]
        include = ", ".join(self.quoted(name) for name in definition.include)
        create = f"CREATE {'UNIQUE ' if index.unique else ''}INDEX"
        keys_and_filter = (
            f"USING {definition.method} ({', '.join(ordered)})"
            f"{f' INCLUDE ({include})' if include else ''}{f' WHERE {where}' if where else ''}"
        )
        statement = f"{create} CONCURRENTLY {self.quoted(resolved.name)} ON {self.quoted(resolved.table)} {keys_and_filter}"
        rehearsal = f"{create} ON pg_temp.{REHEARSAL} {keys_and_filter}"
        recipe = {"expressions": expressions, "where": where, "rehearsal": rehearsal}
        return Wanted(
            resolved.table,
            resolved.name,
            definition,
            statement,
            "",
            "",
            resolved.source,
            resolved.app,
            recipe,
        )

    def _keys(self, resolved: Resolved, collation: str) -> tuple[list[str], tuple[Column, ...]]:
        index = resolved.index
        plain = [key for key in index.keys if key.order != "text"]
        collate = f" COLLATE {self.quoted(collation)}" if collation else ""
        expressions = [self._expression(resolved, key) + collate for key in plain]
        columns = [
            Column(self.canonical_key(resolved, key), "desc" if key.order == "desc" else "asc")
            for key in plain
        ]
        if len(plain) < len(index.keys):
            # As Django's SearchVector writes it, so that its searches find the index.
            texts = [self.quoted(resolved.columns[key.field]) for key in index.keys if key.order == "text"]
            text = " || ' ' || ".join(f"COALESCE({each}, '')" for each in texts)
            language = str(self.connection.schema_editor().quote_value(index.language))
            vector = f"to_tsvector({language}::regconfig, {text})"
            expressions.append(f"({vector})")
            columns.append(Column(canonical(vector)))
        return expressions, tuple(columns)

    def _expression(self, resolved: Resolved, key: Key) -> str:
        expression = self.expression(resolved, key)
        return f"({expression})" if key.function else expression

    def is_one_of(self, column: str, literals: str) -> str:
        """Return the test for membership as the server prints it."""
        return f"{column} = ANY (ARRAY[{literals}])"

    def _cannot(self, index: Index, collation: str) -> str:  # noqa: PLR0911 - one sentence each
        """Return what of the declaration this server does not have, or the empty string."""
        orders = [key.order for key in index.keys]
        if index.kind == "ttl":
            return "PostgreSQL deletes no rows by their age; delete them with a job of your own"
        if index.kind == "hashed" and len(orders) > 1:
            return "a hash index of PostgreSQL has one column"
        if isinstance(index.collation, Mapping) and index.collation and not collation:
            return "the collation is another database's; add 'postgresql' to it, such as {'postgresql': 'C'}"
        if index.kind == "btree" and not collation:
            return ""
        with self.session():
            server = self._facts()
        if collation and collation not in server.collations:
            return f"this server has no collation {collation!r}; CREATE COLLATION makes one"
        if index.kind == "text" and set(orders) != {"text"} and "btree_gin" not in server.extensions:
            return "GIN takes plain columns beside the text only with the extension btree_gin, which is not installed"
        if "trgm" in index.opclass and "pg_trgm" not in server.extensions:
            return f"{index.opclass} is of the extension pg_trgm, which is not installed"
        return ""

    def _facts(self) -> _Server:
        if self._server is None:
            extensions = self.rows("SELECT extname FROM pg_extension")
            collations = self.rows("SELECT collname FROM pg_collation WHERE pg_collation_is_visible(oid)")
            self._server = _Server(
                frozenset(name for (name,) in extensions), frozenset(name for (name,) in collations)
            )
        return self._server

    def require_writable(self, tables: Collection[str]) -> None:
        """Raise for a standby, a read-only session, tables of others, and a connection that is inside a transaction."""
        if self.connection.in_atomic_block:
            raise DatabaseRefused(
                f"The database {self.alias!r} is inside a transaction, where PostgreSQL builds nothing concurrently; "
                "run setup_indexes outside of atomic()."
            )
        with self.session():
            ((standby, read_only),) = self.rows(
                "SELECT pg_is_in_recovery(), current_setting('transaction_read_only') = 'on'"
            )
            if standby or read_only:
                what = "a read-only replica" if standby else "read-only"
                raise DatabaseRefused(
                    f"The database {self.alias!r} is {what}; run setup_indexes with the alias of its primary."
                )
            foreign = self.rows(pg_catalog.NOT_MINE, [list(tables)])
        if foreign:
            table, owner, user = foreign[0]
            raise DatabaseRefused(
                f"The user {user!r} does not own the table {table!r}, so it can make no index; run setup_indexes as "
                f"{owner!r}, or type: GRANT {owner} TO {user}"
            )

    def rehearsal(self, wanted: Wanted) -> tuple[str, str]:
        """Return the statements for a temporary table."""
        copy = f"CREATE TEMP TABLE {REHEARSAL} (LIKE {self.quoted(wanted.table)}) ON COMMIT DROP"
        return copy, str(wanted.recipe["rehearsal"])

    @contextmanager
    def alone(self, say: Say) -> Iterator[None]:
        """Hold the advisory lock of this database, and ask for it until whoever has it is done."""
        with self.session():
            said = 0.0
            while not self.rows("SELECT pg_try_advisory_lock(%s)", [LOCK_KEY])[0][0]:
                if time.monotonic() - said >= SAY_AGAIN_S:
                    said = time.monotonic()
                    say(
                        f"{self.alias}: another setup_indexes works on it{self._holder()}; waiting until it is done"
                    )
                time.sleep(ASK_AGAIN_S)
        try:
            yield
        finally:
            with self.session():
                if self.connection.is_usable():
                    self.rows("SELECT pg_advisory_unlock(%s)", [LOCK_KEY])

    def _holder(self) -> str:
        rows = self.rows(pg_catalog.LOCK_HOLDER, [LOCK_KEY])
        return f" (process {rows[0][0]} of the server)" if rows else ""

    def create(self, wanted: Wanted, found: Present | None, say: Say) -> None:
        """Build concurrently, and again after each lock timeout; what a failed build leaves is dropped."""
        settings = IndexSettings.get()
        with self.session(), self._patience(settings.lock_timeout_s):
            for left in range(settings.lock_retries, -1, -1):
                try:
                    self._drop_invalid(wanted)
                    with pg_progress.told(self.connection, wanted.table, say):
                        self.execute(wanted.statement)
                    return
                except KeyboardInterrupt:
                    self._clean_up(wanted)
                    raise
                except django.db.Error as exc:
                    if _code(exc) != _NOT_AVAILABLE or not left:
                        self._clean_up(wanted)
                        raise
                    seconds = settings.lock_timeout_s
                    say(f"{wanted.name}: no lock on {wanted.table} within {seconds:g} s; again, {left} more")

    def drop(self, present: Present, say: Say) -> str:
        """Drop the index concurrently."""
        with self.session(), self._patience(IndexSettings.get().lock_timeout_s):
            self._drop(present.name)
        return "dropped"

    def _drop(self, name: str) -> None:
        self.execute(f"DROP INDEX CONCURRENTLY IF EXISTS {self.quoted(name)}")

    def _drop_invalid(self, wanted: Wanted) -> None:
        if self.rows(pg_catalog.IS_INVALID, [wanted.table, wanted.name]):
            self._drop(wanted.name)

    def _clean_up(self, wanted: Wanted) -> None:
        """Drop what a failed build has left, if that takes no time; else the next run does it."""
        try:
            self.execute(f"SET lock_timeout = {CLEAN_UP_MS}")
            self._drop_invalid(wanted)
        except django.db.Error as exc:
            logger.debug("%s stays invalid until the next run: %s", wanted.name, exc)

    @contextmanager
    def _patience(self, lock_s: float) -> Iterator[None]:
        """Wait so long for locks, and for the statement as long as it takes; afterwards as the connection had it."""
        names = ("lock_timeout", "statement_timeout")
        (before,) = self.rows("SELECT current_setting(%s), current_setting(%s)", list(names))
        self.execute(f"SET lock_timeout = {int(lock_s * 1000)}")
        self.execute("SET statement_timeout = 0")
        try:
            yield
        finally:
            if self.connection.connection is not None and self.connection.is_usable():
                for name, value in zip(names, before, strict=True):
                    self.rows("SELECT set_config(%s, %s, false)", [name, value])

    def refused(self, exc: django.db.Error) -> DatabaseRefused:
        """Return the error as one sentence, with what to do where the server's own words do not say it."""
        code, said = _code(exc), str(exc).strip().split("\n")[0]
        if code == _NOT_AVAILABLE:
            sentence = (
                "did not give a lock in time: a transaction has been open for longer than LOCK_TIMEOUT_S; "
                "end it, or give PERFSUITE['INDEXES']['LOCK_TIMEOUT_S'] more seconds"
            )
        elif code == _UNIQUE_VIOLATION:
            sentence = f"has duplicates that were written meanwhile: {said}"
        elif code == _NO_PRIVILEGE:
            sentence = f"does not permit it: {said}"
        elif code == _READ_ONLY:
            sentence = "is read-only; run setup_indexes with the alias of its primary"
        elif code == _CANCELLED:
            sentence = f"cancelled it: {said}; raise its statement_timeout for this user"
        elif code is None and isinstance(exc, (django.db.OperationalError, django.db.InterfaceError)):
            sentence = f"cannot be reached: {said.rstrip('.')}"
        else:
            return refused(self.alias, exc)
        return DatabaseRefused(f"The database {self.alias!r} {sentence}.")


def _code(exc: BaseException) -> str | None:
    """Return PostgreSQL's code of an error; psycopg 2 calls it otherwise."""
    cause: Any = exc.__cause__
    return getattr(cause, "sqlstate", None) or getattr(cause, "pgcode", None)


def _collation(index: Index) -> str:
    if isinstance(index.collation, str):
        return index.collation
    chosen = index.collation.get("postgresql", "")
    if not isinstance(chosen, str):
        raise DeclarationError(
            f"The collation {chosen!r} of Index({index}) is no name; write {{'postgresql': 'C'}}."
        )
    return chosen
